// Gate: a FIFO lock for coroutines of one worker. Held while something is loaded and while a change of it waits for the
// store, so that a command sees either all of a change or nothing of it.
//
// Owner: a worker; every call comes from its turns. It lives longer than the passes it gave out.
#pragma once

#include <coroutine>
#include <utility>

#include "core/worker.h"

namespace tidemark {

class Gate {
 public:
  class Pass {
   public:
    explicit Pass(Gate* gate) : gate_(gate) {}
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Pass& operator=(Pass&&) = delete;
    ~Pass() { release(); }
    void release() {
      if (gate_ != nullptr) {
        std::exchange(gate_, nullptr)->leave();
      }
    }

   private:
    Gate* gate_;
  };

  // Who waits. Lives in the waiting coroutine's frame.
  struct Waiter {
    std::coroutine_handle<> handle;
    Waiter* next = nullptr;
  };
  // `co_await gate.enter()` gives a Pass.
  auto enter() {
    struct Awaiter : Waiter {
      explicit Awaiter(Gate& of) : gate(of) {}
      bool await_ready() { return !std::exchange(gate.busy_, true); }
      void await_suspend(std::coroutine_handle<> waiting) {
        this->handle = waiting;
        (gate.last_ == nullptr ? gate.first_ : gate.last_->next) = this;
        gate.last_ = this;
      }
      Pass await_resume() { return Pass(&gate); }

      Gate& gate;
    };
    return Awaiter(*this);
  }
  bool busy() const { return busy_; }

 private:
  void leave() {
    if (first_ == nullptr) {
      busy_ = false;
      return;
    }
    // The gate stays busy: it is handed over. Posted, so that a long queue is no deep recursion.
    const std::coroutine_handle<> next = first_->handle;
    first_ = first_->next;
    if (first_ == nullptr) {
      last_ = nullptr;
    }
    Worker::current()->post([next] { next.resume(); });
  }

  bool busy_ = false;
  Waiter* first_ = nullptr;
  Waiter* last_ = nullptr;
};

}  // namespace tidemark
