// Turnstile: lets a bounded number of coroutines of one worker through at a time; the others wait in the order in which
// they came, and beyond a number of waiters it says no at once.
//
// Owner: a worker; every call comes from its turns. It lives longer than the passes it gave out.
// Promises: never more than `inside` at a time; whoever waits is let through or turned away, at the latest by close().
// Does not promise: how long a wait takes. Who has waited too long to be of use has to look at the clock itself.
#pragma once

#include <coroutine>
#include <deque>
#include <utility>

#include "core/worker.h"

namespace tidemark {

class Turnstile {
 public:
  // The right to be inside; gives it back at its end.
  class Pass {
   public:
    Pass() = default;
    Pass(Pass&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
    Pass& operator=(Pass&& other) noexcept {
      std::swap(of_, other.of_);
      return *this;
    }
    ~Pass() {
      if (of_ != nullptr) {
        of_->leave();
      }
    }
    explicit operator bool() const { return of_ != nullptr; }

   private:
    friend class Turnstile;
    explicit Pass(Turnstile* of) : of_(of) {}
    Turnstile* of_ = nullptr;
  };

  explicit Turnstile(Worker& worker) : worker_(worker) {}
  Turnstile(const Turnstile&) = delete;
  Turnstile& operator=(const Turnstile&) = delete;

  // `co_await enter(inside, waiting)`: a pass, or an empty one where `waiting` wait already or it is closed.
  auto enter(size_t inside, size_t waiting) {
    inside_max_ = inside;
    struct Awaiter {
      Turnstile& self;
      size_t waiting_max;
      bool granted = false;

      bool await_ready() {
        granted = !self.closed_ && self.inside_ < self.inside_max_ && self.waiting_.empty();
        self.inside_ += granted;
        return granted || self.closed_ || self.waiting_.size() >= waiting_max;
      }
      void await_suspend(std::coroutine_handle<> handle) { self.waiting_.push_back({handle, &granted}); }
      Pass await_resume() { return granted ? Pass(&self) : Pass(); }
    };
    return Awaiter{*this, waiting};
  }

  // Turns everybody away who waits or comes later.
  void close() {
    closed_ = true;
    while (!waiting_.empty()) {
      resume_first(false);
    }
  }

  size_t inside() const { return inside_; }
  size_t waiting() const { return waiting_.size(); }

 private:
  struct Waiter {
    std::coroutine_handle<> handle;
    bool* granted;
  };

  void leave() {
    worker_.assert_owner();
    --inside_;
    // More than one where the limit was raised in the meantime.
    while (!waiting_.empty() && inside_ < inside_max_) {
      ++inside_;
      resume_first(true);
    }
  }

  // In a turn of its own: whoever leaves is in the middle of something.
  void resume_first(bool granted) {
    const Waiter first = waiting_.front();
    waiting_.pop_front();
    *first.granted = granted;
    worker_.post([handle = first.handle] { handle.resume(); });
  }

  Worker& worker_;
  std::deque<Waiter> waiting_;
  size_t inside_ = 0;
  size_t inside_max_ = 0;
  bool closed_ = false;
};

}  // namespace tidemark
