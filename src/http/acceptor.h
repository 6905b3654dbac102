// Acceptor: the listening socket, and the hand that gives each new connection to its worker.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <string>

#include "core/result.h"
#include "core/worker.h"

namespace tidemark::http {

// How many more file descriptors the process may open.
enum class Room : uint8_t { enough, scarce, nearly_none };

// What a descriptor's number says about it: the system gives out the lowest free one, so that a number near the limit
// means that nearly all are in use. A reserve, a quarter of the limit and at most 256, is kept from newcomers; in its
// first half upgrades are refused, in the next quarter everything is; the last one is the store's and the metrics'.
Room room_at(int descriptor, size_t limit);

// Owner: worker 0. listen() is called once, before anybody else knows of it; destroyed when the workers have stopped.
// Promises: never spins. A connection that would leave too few descriptors for the process itself is closed at once;
// where there is none at all, connections wait in the backlog and it tries again every 100 ms.
class Acceptor {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using Endpoint = boost::asio::ip::tcp::endpoint;
  // Called on `worker`, on whose io_context the socket is: non-blocking, TCP_NODELAY.
  using Accepted = std::function<void(Worker& worker, Socket socket, const Endpoint& peer, Room room)>;

  // `uses_reserve`: it may have the last descriptors too (metrics: whoever looks at the node has to see why it refuses).
  Acceptor(WorkerPool& workers, Accepted accepted, bool uses_reserve);

  Status listen(const std::string& host, int port);
  int port() const { return port_; }
  void close();  // from any thread

 private:
  void inherit_options();
  void wait();
  void accept_ready();
  void hand_over(int descriptor, const Endpoint& peer, Room room);
  void pause(int error);
  void complain(std::string_view why);

  WorkerPool& workers_;
  const Accepted accepted_;
  const bool uses_reserve_;
  boost::asio::ip::tcp::acceptor acceptor_;
  Timer retry_;
  size_t descriptors_max_ = SIZE_MAX;
  Instant logged_{};
  int next_worker_ = 0;
  int port_ = 0;
};

}  // namespace tidemark::http
