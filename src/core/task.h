// Task<T>: a lazy coroutine that is awaited once; spawn() starts one that nobody awaits.
//
// A coroutine runs on the worker that resumes it. `co_await worker.enter()` moves it to that worker, an awaited
// database call comes back to the worker it was made on. After each co_await the world may have changed: check again.
//
// A task that is destroyed unfinished would leave dangling resumptions; nothing in the program does so: tasks run to
// their end, and a stopping program lets them.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "core/frame_pool.h"
#include "core/result.h"

namespace tidemark {

template <class T>
class Task;

namespace detail {

// Whose frames come from the pool.
struct Pooled {
  static void* operator new(size_t size) { return FramePool::take(size); }
  static void operator delete(void* frame, size_t size) noexcept { FramePool::give(frame, size); }
};

struct TaskPromiseBase : Pooled {
  std::coroutine_handle<> continuation = std::noop_coroutine();

  struct FinalAwaiter {
    bool await_ready() noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> done) noexcept {
      return done.promise().continuation;
    }
    void await_resume() noexcept {}
  };

  std::suspend_always initial_suspend() noexcept { return {}; }
  FinalAwaiter final_suspend() noexcept { return {}; }
  // Errors travel as Results. An exception here is a broken invariant.
  void unhandled_exception() noexcept { std::terminate(); }
};

template <class T>
struct TaskPromise : TaskPromiseBase {
  std::optional<T> value;
  Task<T> get_return_object();
  void return_value(T result) { value.emplace(std::move(result)); }
  T take() { return std::move(*value); }
};

template <>
struct TaskPromise<void> : TaskPromiseBase {
  Task<void> get_return_object();
  void return_void() {}
  void take() {}
};

}  // namespace detail

template <class T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::TaskPromise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  explicit Task(Handle handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_) {
      handle_.destroy();
    }
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiting) noexcept {
    handle_.promise().continuation = waiting;
    return handle_;
  }
  T await_resume() { return handle_.promise().take(); }

 private:
  Handle handle_;
};

namespace detail {

template <class T>
Task<T> TaskPromise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<TaskPromise<T>>::from_promise(*this));
}
inline Task<void> TaskPromise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<TaskPromise<void>>::from_promise(*this));
}

// A coroutine that starts at once and frees itself at its end.
struct Detached {
  struct promise_type : Pooled {
    Detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

inline Detached run_detached(Task<void> task) { co_await task; }

}  // namespace detail

// Starts `task` now, on this thread, and lets it run to its end by itself.
inline void spawn(Task<void> task) { detail::run_detached(std::move(task)); }

}  // namespace tidemark
