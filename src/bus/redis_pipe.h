// RedisPipe: requests and their replies over one connection that is kept up. Many requests are under way at a time;
// Redis answers in their order.
//
// Owner: its worker. start() once, stop() before it goes while the worker runs.
// Promises: a request that was taken ends exactly once, at its deadline at the latest (the tick of a timer later): with
// its reply, or with `unavailable`. While the connection is being made it waits, for options.retries failed tries at
// most. A connection whose oldest request is not answered in time is lost, and everything behind it.
// Does not promise: that a request which ended with `unavailable` was not run, unless the outcome says so.
#pragma once

#include <deque>
#include <functional>
#include <string>

#include "bus/redis_command.h"
#include "bus/redis_dialer.h"

namespace tidemark::bus {

class RedisPipe {
 public:
  struct Outcome {
    Result<Reply> reply;  // may be an error reply
    bool certainly_not_run = false;
  };
  using Done = std::function<void(Outcome)>;

  struct Events {
    std::function<void()> up;
    std::function<void()> down;  // after it was up
  };

  static constexpr size_t kRequestsMax = 65'536;               // under way, and waiting for a connection
  static constexpr size_t kWaitingBytesMax = 4 * 1024 * 1024;  // waiting for a connection

  RedisPipe(Worker& worker, std::shared_ptr<const RedisTarget> target, Random& random, std::string purpose,
            Events events = {});

  void start();
  void stop();  // everything under way ends with `unavailable`

  // `done` is not called inside this call. False: there is no room, or it was stopped; nothing was taken.
  bool request(const Command& command, Instant deadline, Done done);
  // For what nobody waits for, and only while the connection is up. Error replies are handed to `on_refused`.
  bool post(const Command& command);
  void on_refused(std::function<void(const Reply&)> listener) { refused_ = std::move(listener); }

  bool is_up() const { return dialer_.is_up(); }
  size_t under_way() const { return sent_.size() + waiting_.size(); }

 private:
  struct Sent {
    Done done;  // empty: nobody waits
    Instant deadline;
  };
  struct Waiting {
    Command command;
    Done done;
    Instant deadline;
    int tries_left;
  };

  void came_up();
  void take(Reply reply);
  void went_down(const Error& error);
  void look();
  void look_until(Instant deadline);
  void end_waiting(Waiting waiting, const Error& error);

  Worker& worker_;
  const std::shared_ptr<const RedisTarget> target_;
  const Events events_;
  std::function<void(const Reply&)> refused_;
  RedisDialer dialer_;
  std::deque<Sent> sent_;
  std::deque<Waiting> waiting_;
  size_t waiting_bytes_ = 0;
  bool running_ = false;
  bool was_up_ = false;
  Timer look_;
  Instant look_at_{};  // while it is armed
};

}  // namespace tidemark::bus
