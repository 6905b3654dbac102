// RedisDialer: keeps one connection to Redis up: finds the server, connects, and connects again after every loss, with
// a backoff.
//
// Owner: its worker. start() once, stop() before it goes while the worker runs. No event comes inside a call or after
// stop(); drop() tells of the loss that it makes.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "bus/backoff.h"
#include "bus/redis_link.h"
#include "bus/redis_locator.h"

namespace tidemark::bus {

class RedisDialer {
 public:
  struct Events {
    std::function<void()> up;
    std::function<void(Reply)> reply;
    std::function<void(const Error&)> down;  // lost, or one more try to connect has failed
  };

  // `purpose`, for the log: what the connection is for.
  RedisDialer(Worker& worker, std::shared_ptr<const RedisTarget> target, Random& random, std::string purpose,
              Events events);
  ~RedisDialer();

  void start();
  void stop();

  bool is_up() const { return up_; }
  // While it is up; false: too much waits to be written.
  bool send(std::string_view commands) { return up_ && link_->send(commands); }
  // The connection is of no use: it is lost, and made anew.
  void drop(std::string why);
  Instant heard_at() const { return link_->heard_at(); }  // while it is up

 private:
  void try_now();
  void connect(const HostPort& server);
  void came_up();
  void lose(const Error& error);
  void say_lost(const Error& error);

  Worker& worker_;
  const std::shared_ptr<const RedisTarget> target_;
  Random& random_;
  const std::string purpose_;
  const Events events_;

  RedisLocator locator_;
  std::shared_ptr<RedisLink> link_;
  bool up_ = false;
  bool running_ = false;
  Instant up_since_{};
  Backoff backoff_;
  Timer retry_;
  std::string last_said_;  // in the log, since it was up: a server that is away for an hour is one line
};

}  // namespace tidemark::bus
