// Refusal: answers an upgrade request with an HTTP error and closes so that the answer arrives.
#pragma once

#include <memory>
#include <string>

#include "core/stream_socket.h"
#include "core/worker.h"

namespace tidemark::gateway {

// Sends, shuts down its side, reads and discards for at most two seconds. Keeps itself alive until it is flushed, and is
// kept by what it reads from then on.
//
// Owner: the socket's worker.
// Promises: the answer leaves at the end of the turn, when the place that the request had among others has been given
// back: a client that comes again because of it does not meet itself.
class Refusal : public Flushable, public std::enable_shared_from_this<Refusal> {
 public:
  Refusal(Worker& worker, StreamSocket socket, std::string response);
  ~Refusal() override;

  void start();

 private:
  void flush() override;
  void discard();
  void end();

  Worker& worker_;
  StreamSocket socket_;
  const std::string response_;
  Timer timer_;
  std::shared_ptr<Refusal> keep_;
  bool ended_ = false;
};

}  // namespace tidemark::gateway
