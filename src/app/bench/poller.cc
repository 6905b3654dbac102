#include "app/bench/poller.h"

#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <tuple>

namespace tidemark::app {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr size_t kEventsPerTurn = 512;
constexpr uint64_t kTimerNumber = UINT64_MAX;
constexpr uint64_t kBellNumber = UINT64_MAX - 1;

void reset(int counter) {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t size = ::read(counter, &count, sizeof count);
}

}  // namespace

Poller::Poller()
    : epoll_(epoll_create1(EPOLL_CLOEXEC)),
      timer_(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)),
      bell_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      events_(kEventsPerTurn) {
  // Fails only where status() says so.
  std::ignore = control(EPOLL_CTL_ADD, timer_, kTimerNumber, EPOLLIN);
  std::ignore = control(EPOLL_CTL_ADD, bell_, kBellNumber, EPOLLIN);
}

Poller::~Poller() {
  for (const int descriptor : {epoll_, timer_, bell_}) {
    if (descriptor >= 0) {
      ::close(descriptor);
    }
  }
}

Status Poller::status() const {
  if (epoll_ < 0 || timer_ < 0 || bell_ < 0) {
    return fail(Code::unavailable, "no more file descriptors for an epoll, a timer and an event");
  }
  return {};
}

Status Poller::add(int socket, uint64_t number, uint32_t events) {
  return control(EPOLL_CTL_ADD, socket, number, events);
}

Status Poller::change(int socket, uint64_t number, uint32_t events) {
  return control(EPOLL_CTL_MOD, socket, number, events);
}

Status Poller::control(int operation, int descriptor, uint64_t number, uint32_t events) {
  epoll_event event{.events = events, .data = {.u64 = number}};
  if (epoll_ctl(epoll_, operation, descriptor, &event) != 0) {
    return fail(Code::unavailable, std::string("epoll_ctl: ") + std::strerror(errno));
  }
  return {};
}

std::span<const Poller::Ready> Poller::wait(std::chrono::milliseconds longest) {
  const int count =
      epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()), static_cast<int>(longest.count()));
  ready_.clear();
  for (int i = 0; i < count; ++i) {
    const uint64_t number = events_[i].data.u64;
    if (number == kTimerNumber || number == kBellNumber) {
      reset(number == kTimerNumber ? timer_ : bell_);
    } else {
      ready_.push_back({number, events_[i].events});
    }
  }
  return ready_;
}

void Poller::wake_at(Instant when) {
  // A time of zero would disarm the timer.
  const auto since_start = std::max(when.time_since_epoch(), nanoseconds(1));
  const auto whole = std::chrono::duration_cast<seconds>(since_start);
  const itimerspec at{.it_interval = {},
                      .it_value = {.tv_sec = whole.count(), .tv_nsec = nanoseconds(since_start - whole).count()}};
  timerfd_settime(timer_, TFD_TIMER_ABSTIME, &at, nullptr);
}

void Poller::wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t size = ::write(bell_, &one, sizeof one);
}

}  // namespace tidemark::app
