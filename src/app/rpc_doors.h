// RpcDoors: the gRPC ports of a node, wired: one server per port, what they share, and their certificate.
//
// Owner: the node's thread. Made after the rooms, listens when the workers run, stopped before they end.
#pragma once

#include <functional>
#include <future>
#include <memory>

#include "app/config.h"
#include "document/document.h"
#include "rpc/calls.h"
#include "rpc/server.h"
#include "rpc/streams.h"

namespace tidemark::rpc {
class ServerCertificate;
}

namespace tidemark::app {

class RpcDoors {
 public:
  // What it serves; all of it outlives it.
  struct Rooms {
    WorkerPool& workers;
    const account::Account& account;
    session::Sessions& sessions;
    document::Documents& documents;
    const command::Table& table;
    const Clock& clock;
    MetricRegistry& metrics;
  };

  // Null where every port is off. `ready` is asked on the first worker. Waits for the disk.
  static Result<std::unique_ptr<RpcDoors>> make(const Config& config, bool dev, const Rooms& rooms,
                                                std::function<bool()> ready);
  ~RpcDoors();

  Status listen();
  int session_port() const { return sessions_.port(); }  // 0: off
  int statesync_port() const { return statesync_.port(); }

  // A revocation is in force: streams that were opened with such a token end. Any thread.
  void drop_revoked() { streams_.drop_revoked(); }

  // Health says NOT_SERVING, new calls are refused, streams end. Once is enough.
  void begin_drain();
  // After that: waits for the calls that are under way, at most so long.
  void wait_until_over(std::chrono::milliseconds at_most);
  // Ends what is left. The workers and the store still have to answer.
  void stop();

  // Reads the certificate again; an error changes nothing.
  Status reload(const Config& config);

 private:
  // A port, perhaps one that is off.
  struct Door {
    Listener at;
    std::unique_ptr<rpc::Server> server;  // null: off
    int port() const { return server ? server->port() : 0; }
  };

  RpcDoors(const Config& config, bool dev, const Rooms& rooms);
  void open(Door& door, const Config& config, rpc::ServerOptions options, std::unique_ptr<grpc::Service> service,
            std::function<bool()> ready);

  WorkerPool& workers_;
  document::Documents& documents_;
  const bool with_tls_;
  std::unique_ptr<rpc::ServerCertificate> certificate_;  // null: in the clear
  rpc::Calls calls_;
  rpc::Streams streams_;
  Door sessions_;
  Door statesync_;
  std::future<void> calls_over_;
  std::future<void> streams_over_;
};

}  // namespace tidemark::app
