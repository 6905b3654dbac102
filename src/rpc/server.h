// Server: one gRPC port with its services, server reflection and grpc.health.v1.Health.
//
// Owner: the node's thread: made, listen(), stop(), destroyed there. Calls come in on gRPC's own threads and are served
// on the workers (call.h). Health follows `ready`, which is asked on the first worker.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/worker.h"

namespace grpc {
class Server;
class ServerCredentials;
class Service;
}  // namespace grpc

namespace tidemark::rpc {

struct ServerOptions {
  std::string name;                         // the configuration key, for errors
  std::vector<std::string> services;        // as health and its askers call them
  size_t message_bytes = 64 * 1024;         // of a request; above: RESOURCE_EXHAUSTED
  size_t metadata_bytes = 16 * 1024;        // of a request, all of it; above: RESOURCE_EXHAUSTED
  int streams_per_connection = 256;         // calls of one connection at a time; the client waits
  size_t memory_bytes = 256 * 1024 * 1024;  // of what its connections have in hand; near it gRPC takes less from them
  int reflections = 4;                      // clients that hold the reflection stream open at a time
  std::chrono::milliseconds handshake_timeout{10'000};
  std::chrono::milliseconds keepalive{30'000};          // silence after which it pings
  std::chrono::milliseconds keepalive_timeout{20'000};  // and without an answer ends the connection
  std::chrono::milliseconds ping_interval_min{5'000};   // a client that pings more often is sent away
  std::chrono::milliseconds health_every{250};
  bool reflection = true;
};

class Server {
 public:
  // `credentials` null: in the clear.
  Server(WorkerPool& workers, ServerOptions options, std::unique_ptr<grpc::Service> service,
         std::shared_ptr<grpc::ServerCredentials> credentials, std::function<bool()> ready);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // As http::Server::listen(). Once, after the workers have started: calls may come at once.
  Status listen(const std::string& host, int port);
  int port() const { return port_; }

  // Says NOT_SERVING from now on. Any thread.
  void begin_drain();
  // Takes no calls any more; those under way have `grace` and are cancelled then. Waits until the last one has ended:
  // the workers still have to run.
  void stop(std::chrono::milliseconds grace);

 private:
  void look_at_health();
  void set_serving(bool serving);

  WorkerPool& workers_;
  const ServerOptions options_;
  const std::unique_ptr<grpc::Service> service_;
  const std::shared_ptr<grpc::ServerCredentials> credentials_;
  const std::function<bool()> ready_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
  Timer health_timer_;   // of the first worker, like the next
  bool serving_ = true;  // what was said last
  std::atomic<bool> over_{false};
};

}  // namespace tidemark::rpc
