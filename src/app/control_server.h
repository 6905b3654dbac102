// The node's end of the control socket: answers one request per connection, each on a thread of its own.
//
// Owner: Node. Started just before the workers, stopped before they end. Its acceptor thread owns the rest.
// Promises: at most `requests_max` at once, others get an error; a request that is malformed, too long or slow costs a
// thread for at most the request timeout. Only the node's own user (and root) is served.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <thread>

#include "app/control_socket.h"
#include "app/operation.h"

namespace tidemark::app {

struct ControlOptions {
  size_t requests_max = 8;
  std::chrono::milliseconds request_timeout{5000};  // for the line of the request
  std::chrono::milliseconds write_timeout{30000};   // a client that takes no output for this long is gone
};

class ControlServer {
 public:
  using Run = std::function<Status(const OperationRequest&, const OperationAnswer&)>;

  ControlServer(std::string directory, ControlOptions options, Run run);
  ~ControlServer();

  Status start();
  // Cancels what runs, waits for its end, takes the socket away.
  void stop();

 private:
  struct Serving {
    ControlSocket socket;
    std::atomic<bool> ended{false};
    std::thread thread;
  };

  void accept_loop();
  void serve(Serving& serving);
  bool may_ask(const ControlSocket& socket) const;

  const std::string directory_;
  const ControlOptions options_;
  const Run run_;
  ControlSocket listener_;
  std::atomic<bool> stopping_{false};
  std::list<std::unique_ptr<Serving>> serving_;  // owner: the acceptor thread
  std::thread acceptor_;
};

}  // namespace tidemark::app
