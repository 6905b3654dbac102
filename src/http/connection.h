// Connection: one HTTP/1.1 connection as a state machine on its worker.
//
// Requests are answered one after the other, in order. While one is handled the socket is not read, so what a client
// pipelines waits in the kernel, but for the rest of the last read (at most kReadBytes). An idle connection holds
// neither buffers nor a parser.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "core/stream_socket.h"
#include "core/task.h"
#include "core/worker.h"
#include "http/client_address.h"
#include "http/context.h"
#include "http/request_reader.h"

namespace tidemark::http {

// Owner: worker. Made for an accepted socket; start() once, from then on it keeps itself alive until it is closed or
// its socket has been handed over for an upgrade.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  static constexpr size_t kReadBytes = 64 * 1024;  // at most, in one read

  Connection(std::shared_ptr<Context> context, Worker& worker, StreamSocket socket,
             const boost::asio::ip::tcp::endpoint& peer);
  ~Connection();

  // `scarce`: file descriptors run short, so an upgrade is handed over to be refused.
  void start(bool scarce = false);
  void start_refusing();  // answers 503 without reading a request
  void close_if_idle();   // an answer has been sent and nothing of the next request has come
  void close();

 private:
  enum class State : uint8_t { reading, handling, writing, lingering, closed };

  void join();
  void leave();
  void on_timer();
  void read_proxy_header();
  void begin();
  void wait_readable();
  void readable();
  void feed(std::string_view bytes);
  void head_arrived(std::string_view behind);
  bool is_upgrade(const HttpRequest& head) const;
  void hand_over(std::string_view behind);
  bool host_allowed(const HttpRequest& head) const;
  void handle(HttpRequest request);
  static Task<> run(std::shared_ptr<Connection> self, HttpRequest request);
  void refuse(const Response& response);
  void answer(const Response& response);
  void write_some();
  void wait_for_room(bool progressed);
  void answer_sent();
  void linger();
  void discard();
  void not_over_tls();

  const std::shared_ptr<Context> context_;
  Worker& worker_;
  StreamSocket socket_;
  std::string group_;  // what it counts as in Context::addresses; empty: nothing
  size_t proxy_bytes_wanted_ = 0;
  Peer peer_;  // who is at the other end, as far as a trusted proxy says so
  Timer timer_;
  std::shared_ptr<Connection> self_;  // while it is open
  std::unique_ptr<RequestReader> reader_;
  std::string pending_;  // read, but behind the request that is being answered
  std::string out_;
  size_t out_sent_ = 0;
  size_t reserved_ = 0;  // bytes of Context::body_bytes
  State state_ = State::reading;
  bool feeding_ = false;  // feed() is on the stack and goes on by itself
  bool served_ = false;   // at least one answer has been sent
  bool close_after_ = false;
  bool head_only_ = false;
  bool http10_ = false;
  bool scarce_ = false;
  std::string_view allow_origin_;
};

}  // namespace tidemark::http
