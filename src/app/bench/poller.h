// epoll with a timer and a bell: what a load thread waits on.
#pragma once

#include <sys/epoll.h>

#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

#include "core/clock.h"
#include "core/result.h"

namespace tidemark::app {

// Owner: one thread; only wake() may be called from others.
class Poller {
 public:
  Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  ~Poller();

  // Whether the system gave what the constructor asked for; to be checked before anything else is called.
  Status status() const;

  // `events` are epoll's; `number` comes back in Ready. A socket leaves with its close().
  Status add(int socket, uint64_t number, uint32_t events);
  Status change(int socket, uint64_t number, uint32_t events);

  struct Ready {
    uint64_t number;
    uint32_t events;
  };
  // What is ready, after at most `longest`. Empty when the time is over, wake() was called, or wake_at() has come.
  // Valid until the next call.
  std::span<const Ready> wait(std::chrono::milliseconds longest);

  void wake_at(Instant when);  // replaces the last
  void wake();

 private:
  Status control(int operation, int descriptor, uint64_t number, uint32_t events);

  int epoll_ = -1;
  int timer_ = -1;
  int bell_ = -1;
  std::vector<epoll_event> events_;
  std::vector<Ready> ready_;
};

}  // namespace tidemark::app
