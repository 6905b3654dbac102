#include "rpc/server.h"

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include "core/log.h"

namespace tidemark::rpc {
namespace {

// The library's own lines tell of peers that break off and of handshakes that fail: anybody could fill the log.
void take_library_line(gpr_log_func_args* line) { log_debug("rpc.library", {{"text", line->message}}); }

// Nor may wrong UTF-8 in a message, which is told before anybody knows whose it is.
void take_message_line(google::protobuf::LogLevel, const char*, int, const std::string& text) {
  log_debug("rpc.library", {{"text", text}});
}

// Whoever links the library of reflection has it on every server: this says whether there is one.
class ReflectionOption final : public grpc::ServerBuilderOption {
 public:
  explicit ReflectionOption(bool wanted) : wanted_(wanted) {}
  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    auto reflection = std::make_unique<grpc::reflection::ProtoServerReflectionPlugin>();
    std::erase_if(*plugins, [&](const auto& plugin) { return plugin->name() == reflection->name(); });
    if (wanted_) {
      plugins->push_back(std::move(reflection));
    }
  }

 private:
  const bool wanted_;
};

int ms(std::chrono::milliseconds time) { return static_cast<int>(time.count()); }

void set_limits(grpc::ServerBuilder& builder, const ServerOptions& options) {
  builder.SetMaxReceiveMessageSize(static_cast<int>(options.message_bytes));
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, static_cast<int>(options.metadata_bytes));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.streams_per_connection);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, ms(options.handshake_timeout));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, ms(options.keepalive));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, ms(options.keepalive_timeout));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, ms(options.ping_interval_min));
  // Two nodes on one port would each get some of the calls, and nobody an error.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // A small message that grows without end when it is unpacked costs the sender nothing.
  for (const grpc_compression_algorithm packed : {GRPC_COMPRESS_DEFLATE, GRPC_COMPRESS_GZIP}) {
    builder.SetCompressionAlgorithmSupportStatus(packed, false);
  }
  // Reflection is the only service that keeps a thread while it is used.
  grpc::ResourceQuota quota(options.name);
  quota.Resize(options.memory_bytes);
  quota.SetMaxThreads(options.reflections + 1);
  builder.SetResourceQuota(quota);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 1);
}

std::string address_of(const std::string& host, int port) {
  const std::string name = host.empty() ? "::" : host;
  return (name.find(':') == std::string::npos ? name : "[" + name + "]") + ":" + std::to_string(port);
}

}  // namespace

Server::Server(WorkerPool& workers, ServerOptions options, std::unique_ptr<grpc::Service> service,
               std::shared_ptr<grpc::ServerCredentials> credentials, std::function<bool()> ready)
    : workers_(workers),
      options_(std::move(options)),
      service_(std::move(service)),
      credentials_(credentials ? std::move(credentials) : grpc::InsecureServerCredentials()),
      ready_(std::move(ready)),
      health_timer_([](void* self) { static_cast<Server*>(self)->look_at_health(); }, this) {}

Server::~Server() = default;

Status Server::listen(const std::string& host, int port) {
  gpr_set_log_function(take_library_line);
  google::protobuf::SetLogHandler(take_message_line);
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  set_limits(builder, options_);
  builder.SetOption(std::make_unique<ReflectionOption>(options_.reflection));
  const std::string address = address_of(host, port);
  builder.AddListeningPort(address, credentials_, &port_);
  builder.RegisterService(service_.get());
  server_ = builder.BuildAndStart();
  if (!server_ || port_ == 0) {
    server_.reset();
    return fail(Code::unavailable,
                options_.name + ": cannot listen on " + address + ": in use, or no address of this machine");
  }
  serving_ = ready_();
  set_serving(serving_);
  workers_.at(0).post([this] { look_at_health(); });
  return {};
}

void Server::look_at_health() {
  if (over_.load()) {
    return;
  }
  if (const bool ready = ready_(); ready != serving_) {
    set_serving(ready);
    serving_ = ready;
  }
  workers_.at(0).arm(health_timer_, options_.health_every);
}

void Server::set_serving(bool serving) {
  grpc::HealthCheckServiceInterface* const health = server_->GetHealthCheckService();
  health->SetServingStatus("", serving);
  for (const std::string& service : options_.services) {
    health->SetServingStatus(service, serving);
  }
}

void Server::begin_drain() {
  if (server_) {
    over_.store(true);
    // Whatever is said after this is not heard: a look at health that is just under way changes nothing.
    server_->GetHealthCheckService()->Shutdown();
  }
}

void Server::stop(std::chrono::milliseconds grace) {
  if (!server_) {
    return;
  }
  begin_drain();
  server_->Shutdown(std::chrono::system_clock::now() + grace);
  server_->Wait();
}

}  // namespace tidemark::rpc
