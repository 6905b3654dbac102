#include "app/rpc_doors.h"

#include "core/log.h"
#include "rpc/certificate.h"
#include "rpc/session_service.h"

namespace tidemark::app {
namespace {

// For the last answers to leave, and for those who only watch to be told.
constexpr std::chrono::milliseconds kStopGrace{1000};

rpc::CertificateFiles files_of(const Config& config) {
  return {config.grpc.tls_cert, config.grpc.tls_key, config.grpc.tls_client_ca};
}

rpc::CallOptions call_options_of(bool dev) {
  rpc::CallOptions options;
  options.dev = dev;
  return options;
}

Error about_tls(const Error& error) { return Error{error.code, "grpc.tls: " + error.text, "grpc.tls.cert", 0}; }

}  // namespace

RpcDoors::RpcDoors(const Config& config, bool dev, const Rooms& rooms)
    : session_listen_(config.session.grpc_listen),
      with_tls_(!config.grpc.tls_cert.empty()),
      calls_(rooms.workers, rooms.sessions, rooms.table, rooms.clock, rooms.metrics, call_options_of(dev)) {}

RpcDoors::~RpcDoors() = default;

Result<std::unique_ptr<RpcDoors>> RpcDoors::make(const Config& config, bool dev, const Rooms& rooms,
                                                 std::function<bool()> ready) {
  if (!config.session.grpc_listen) {
    return std::unique_ptr<RpcDoors>();
  }
  std::unique_ptr<RpcDoors> doors(new RpcDoors(config, dev, rooms));
  if (doors->with_tls_) {
    auto certificate = rpc::ServerCertificate::make(files_of(config));
    if (!certificate.ok()) {
      return about_tls(certificate.error());
    }
    doors->certificate_ = std::move(*certificate);
  }
  rpc::ServerOptions options;
  options.name = "session.grpc_listen";
  options.services = {rpc::kSessionServiceName};
  options.handshake_timeout = config.limits.handshake_timeout;
  options.reflection = config.grpc.reflection;
  doors->session_ = std::make_unique<rpc::Server>(
      rooms.workers, std::move(options), rpc::make_session_service(doors->calls_, rooms.sessions),
      doors->with_tls_ ? doors->certificate_->credentials() : nullptr, std::move(ready));
  return doors;
}

Status RpcDoors::listen() { return session_->listen(session_listen_->host, session_listen_->port); }

void RpcDoors::begin_drain() {
  if (calls_.gate().closed()) {
    return;
  }
  session_->begin_drain();
  auto over = std::make_shared<std::promise<void>>();
  over_ = over->get_future();
  calls_.gate().close([over] { over->set_value(); });
}

void RpcDoors::wait_until_over(std::chrono::milliseconds at_most) {
  if (over_.wait_for(at_most) != std::future_status::ready) {
    log_warn("rpc.calls_cancelled", {{"calls", calls_.gate().inside()}});
  }
}

void RpcDoors::stop() {
  begin_drain();
  session_->stop(kStopGrace);
}

Status RpcDoors::reload(const Config& config) {
  if (config.grpc.tls_cert.empty() == with_tls_) {
    return fail(Code::invalid_field, "grpc.tls.cert: TLS cannot be switched on or off while the node runs");
  }
  if (!with_tls_) {
    return {};
  }
  const auto checked = rpc::ServerCertificate::check(files_of(config));
  if (!checked.ok()) {
    return about_tls(checked.error());
  }
  return certificate_->replace(*checked);
}

}  // namespace tidemark::app
