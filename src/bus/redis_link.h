// RedisLink: one connection to one Redis server, from the connect to its end. It never connects again.
//
// Owner: its worker. Held by a shared pointer, because its owner may let go of it inside an event.
// Promises: events come in this order: up, any number of replies, lost; each but replies at most once, none inside
// open(), send() or close(), and none after close(). From open() to up or lost it takes options.timeout at most. What
// send() took is written at the end of the turn. Whether anybody answers is its owner's to watch: see heard_at().
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/redis_options.h"
#include "bus/redis_reply.h"
#include "core/stream_socket.h"
#include "core/worker.h"

namespace tidemark::bus {

class RedisLink final : public Flushable, public std::enable_shared_from_this<RedisLink> {
 public:
  enum class Peer : uint8_t {
    redis,     // user, password and database are sent
    master,    // the same, and it has to be a master
    sentinel,  // nothing is sent
  };
  struct Events {
    std::function<void()> up;
    std::function<void(Reply)> reply;
    std::function<void(const Error&)> lost;
  };
  // What waits to be written; a connection that takes nothing for so long will be lost.
  static constexpr size_t kOutputBytesMax = 8 * 1024 * 1024;

  static std::shared_ptr<RedisLink> open(Worker& worker, std::shared_ptr<const RedisTarget> target, HostPort server,
                                         Peer peer, Events events);
  ~RedisLink() override;

  // Takes one or more commands. False: too much waits already, or it is closed; nothing was taken.
  bool send(std::string_view commands);
  void close();

  const HostPort& server() const { return server_; }
  Instant heard_at() const { return heard_at_; }  // when the last bytes came

 private:
  using Tcp = boost::asio::ip::tcp;

  RedisLink(Worker& worker, std::shared_ptr<const RedisTarget> target, HostPort server, Peer peer, Events events);

  void resolve();
  void connect_next();
  void connected(const boost::system::error_code& error);
  void greet();
  void flush() override;
  void read();
  bool take(std::string_view bytes);
  void take_greeting(const Reply& reply);
  void too_late();
  void lose(std::string why);
  std::string failure() const;

  // Runs `action(link, arguments…)` if the link still stands when the handler is called.
  template <class Action>
  auto while_open(Action action) {
    return [weak = weak_from_this(), action](auto&&... arguments) {
      if (const auto self = weak.lock(); self != nullptr && !self->closed_) {
        action(*self, arguments...);
      }
    };
  }

  Worker& worker_;
  const std::shared_ptr<const RedisTarget> target_;
  const HostPort server_;
  const Peer peer_;
  const Events events_;

  Timer deadline_;  // of connecting
  Tcp::resolver resolver_;
  std::vector<Tcp::endpoint> endpoints_;
  size_t next_endpoint_ = 0;
  std::string connect_error_;
  std::optional<Tcp::socket> connecting_;
  std::optional<StreamSocket> socket_;

  std::vector<std::string_view> greetings_;  // commands that were sent before it is up
  size_t greeted_ = 0;                       // of which so many are answered
  bool up_ = false;
  bool closed_ = false;

  ReplyReader reader_;
  std::string output_;
  size_t written_ = 0;  // of output_
  bool waits_for_room_ = false;
  Instant heard_at_{};
};

}  // namespace tidemark::bus
