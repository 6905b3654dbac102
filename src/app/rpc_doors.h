// RpcDoors: the gRPC ports of a node, wired: one server per port, what they share, and their certificate.
//
// Owner: the node's thread. Made after the rooms, listens when the workers run, stopped before they end.
#pragma once

#include <functional>
#include <future>
#include <memory>

#include "app/config.h"
#include "rpc/calls.h"
#include "rpc/server.h"

namespace tidemark::rpc {
class ServerCertificate;
}

namespace tidemark::app {

class RpcDoors {
 public:
  // What it serves; all of it outlives it.
  struct Rooms {
    WorkerPool& workers;
    session::Sessions& sessions;
    const command::Table& table;
    const Clock& clock;
    MetricRegistry& metrics;
  };

  // Null where every port is off. `ready` is asked on the first worker. Waits for the disk.
  static Result<std::unique_ptr<RpcDoors>> make(const Config& config, bool dev, const Rooms& rooms,
                                                std::function<bool()> ready);
  ~RpcDoors();

  Status listen();
  int session_port() const { return session_->port(); }  // 0: off

  // Health says NOT_SERVING, new calls are refused. Once is enough.
  void begin_drain();
  // After that: waits for the calls that are under way, at most so long.
  void wait_until_over(std::chrono::milliseconds at_most);
  // Ends what is left. The workers and the store still have to answer.
  void stop();

  // Reads the certificate again; an error changes nothing.
  Status reload(const Config& config);

 private:
  RpcDoors(const Config& config, bool dev, const Rooms& rooms);

  const Listener session_listen_;
  const bool with_tls_;
  std::unique_ptr<rpc::ServerCertificate> certificate_;  // null: in the clear
  rpc::Calls calls_;
  std::unique_ptr<rpc::Server> session_;
  std::future<void> over_;
};

}  // namespace tidemark::app
