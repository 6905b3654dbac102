#include "app/rpc_doors.h"

#include "core/log.h"
#include "rpc/certificate.h"
#include "rpc/document_service.h"
#include "rpc/session_service.h"

namespace tidemark::app {
namespace {

// For the last answers to leave, and for those who only watch to be told.
constexpr std::chrono::milliseconds kStopGrace{1000};
// An operation beside its content, or a document's metadata.
constexpr size_t kBesideContentBytes = 1024 * 1024;

rpc::CertificateFiles files_of(const Config& config) {
  return {config.grpc.tls_cert, config.grpc.tls_key, config.grpc.tls_client_ca};
}

rpc::CallOptions call_options_of(const Config& config, bool dev) {
  rpc::CallOptions options;
  options.calls = config.grpc.calls;
  options.dev = dev;
  return options;
}

rpc::StreamOptions stream_options_of(const Config& config) {
  rpc::StreamOptions options;
  options.streams = config.grpc.subscriptions;
  options.queue_bytes = config.limits.queue;
  options.write_stall = config.limits.write_stall;
  return options;
}

Error about_tls(const Error& error) { return Error{error.code, "grpc.tls: " + error.text, "grpc.tls.cert", 0}; }

}  // namespace

RpcDoors::RpcDoors(const Config& config, bool dev, const Rooms& rooms)
    : workers_(rooms.workers),
      documents_(rooms.documents),
      with_tls_(!config.grpc.tls_cert.empty()),
      calls_(rooms.workers, rooms.sessions, rooms.table, rooms.clock, rooms.metrics, call_options_of(config, dev)),
      streams_(rooms.workers, rooms.account, rooms.sessions, stream_options_of(config)),
      sessions_{config.session.grpc_listen, nullptr},
      statesync_{config.statesync.grpc_listen, nullptr} {}

RpcDoors::~RpcDoors() = default;

Result<std::unique_ptr<RpcDoors>> RpcDoors::make(const Config& config, bool dev, const Rooms& rooms,
                                                 std::function<bool()> ready) {
  if (!config.session.grpc_listen && !config.statesync.grpc_listen) {
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
  rpc::ServerOptions of_sessions;
  of_sessions.name = "session.grpc_listen";
  of_sessions.services = {rpc::kSessionServiceName};
  doors->open(doors->sessions_, config, std::move(of_sessions),
              rpc::make_session_service(doors->calls_, rooms.sessions), ready);
  rpc::ServerOptions of_documents;
  of_documents.name = "statesync.grpc_listen";
  of_documents.services = {rpc::kDocumentServiceName};
  of_documents.message_bytes = config.statesync.content + kBesideContentBytes;
  doors->open(doors->statesync_, config, std::move(of_documents),
              rpc::make_document_service(doors->calls_, doors->streams_, rooms.documents), std::move(ready));
  return doors;
}

void RpcDoors::open(Door& door, const Config& config, rpc::ServerOptions options,
                    std::unique_ptr<grpc::Service> service, std::function<bool()> ready) {
  if (!door.at) {
    return;
  }
  options.handshake_timeout = config.limits.handshake_timeout;
  options.reflection = config.grpc.reflection;
  door.server = std::make_unique<rpc::Server>(workers_, std::move(options), std::move(service),
                                              certificate_ ? certificate_->credentials() : nullptr, std::move(ready));
}

Status RpcDoors::listen() {
  for (const Door* const door : {&sessions_, &statesync_}) {
    if (!door->server) {
      continue;
    }
    if (const Status listening = door->server->listen(door->at->host, door->at->port); !listening.ok()) {
      return listening;
    }
  }
  return {};
}

void RpcDoors::begin_drain() {
  if (calls_.gate().closed()) {
    return;
  }
  for (const Door* const door : {&sessions_, &statesync_}) {
    if (door->server) {
      door->server->begin_drain();
    }
  }
  auto calls_over = std::make_shared<std::promise<void>>();
  auto streams_over = std::make_shared<std::promise<void>>();
  calls_over_ = calls_over->get_future();
  streams_over_ = streams_over->get_future();
  calls_.gate().close([calls_over] { calls_over->set_value(); });
  streams_.drain([streams_over] { streams_over->set_value(); });
  // Whoever waits for a lock is told that another session has it.
  workers_.at(0).post([this] { spawn(documents_.end_waiting()); });
}

void RpcDoors::wait_until_over(std::chrono::milliseconds at_most) {
  const auto until = std::chrono::steady_clock::now() + at_most;
  if (calls_over_.wait_until(until) != std::future_status::ready) {
    log_warn("rpc.calls_cancelled", {{"calls", calls_.gate().inside()}});
  }
  if (streams_over_.wait_until(until) != std::future_status::ready) {
    log_warn("rpc.streams_cancelled", {{"streams", streams_.gate().inside()}});
  }
}

void RpcDoors::stop() {
  begin_drain();
  for (const Door* const door : {&sessions_, &statesync_}) {
    if (door->server) {
      door->server->stop(kStopGrace);
    }
  }
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
