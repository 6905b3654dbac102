// Acceptor: the listening socket, and the hand that gives each new connection to its worker.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <string>

#include "core/result.h"
#include "core/worker.h"

namespace tidemark::http {

// Owner: worker 0. listen() is called once, before anybody else knows of it; destroyed when the workers have stopped.
// Promises: never spins. Where the process has no descriptors left, connections wait in the backlog and it tries again
// every 100 ms.
class Acceptor {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using Endpoint = boost::asio::ip::tcp::endpoint;
  // Called on `worker`, on whose io_context the socket is: non-blocking, TCP_NODELAY.
  using Accepted = std::function<void(Worker& worker, Socket socket, const Endpoint& peer)>;

  Acceptor(WorkerPool& workers, Accepted accepted);

  Status listen(const std::string& host, int port);
  int port() const { return port_; }
  void close();  // from any thread

 private:
  void wait();
  void accept_ready();
  void hand_over(int descriptor, const Endpoint& peer);
  void pause(int error);

  WorkerPool& workers_;
  const Accepted accepted_;
  boost::asio::ip::tcp::acceptor acceptor_;
  Timer retry_;
  Instant logged_{};
  int next_worker_ = 0;
  int port_ = 0;
};

}  // namespace tidemark::http
