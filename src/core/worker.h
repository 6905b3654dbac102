// Worker: one event loop on one thread, and the mailbox through which everybody else reaches it.
//
// Owner: itself. Everything that says "owner: worker" is touched only by code that runs in that worker's turns.
// post() and enter() may be called from any thread; all else only from the worker's own.
// Life: made by WorkerPool, started once, stopped and joined by WorkerPool. Or never started, and stepped: then all the
// workers of a pool take turns on one thread, in the order that a simulation chooses.
//
// A turn: timers that are due, the mailbox, ready sockets (a bounded number), then the end of the turn: posts to other
// workers go out in one batch per target, and flush_later() is flushed (a bounded number, the rest in the next turns).
// Promises: posts from one thread to one worker run in the order they were made, and are in its mailbox before the
// output of their turn leaves, so that who reads an answer finds given back what that turn gave back. Does not promise
// any other order between posts from different threads.
#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <coroutine>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "core/callback.h"
#include "core/clock.h"
#include "core/task.h"
#include "core/timing_wheel.h"

namespace tidemark {

class WorkerPool;

inline constexpr int kWorkersMax = 64;  // of a pool: a set of workers is a number with a bit for each

// Something that gathers output during a turn and writes it at the turn's end.
class Flushable {
 public:
  virtual ~Flushable() = default;
  virtual void flush() = 0;

 private:
  friend class Worker;
  bool flush_registered_ = false;
};

class Worker {
 public:
  Worker(int index, const Clock& clock, WorkerPool& pool);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  // The worker whose turn this thread is in, or null.
  static Worker* current();

  int index() const { return index_; }
  WorkerPool& pool() { return pool_; }
  bool is_current() const { return current() == this; }
  // In debug builds: ends the program when called from another thread.
  void assert_owner() const {
#ifdef TIDEMARK_CHECK_OWNERS
    TIDEMARK_CHECK(is_current());
#endif
  }

  void post(Callback callback);
  void post_all(std::vector<Callback>& callbacks);  // in order, with one wake-up; leaves `callbacks` empty

  // `co_await worker.enter()`: continues on this worker; at once if already there.
  auto enter() {
    struct Awaiter {
      Worker& worker;
      bool await_ready() const { return worker.is_current(); }
      void await_suspend(std::coroutine_handle<> waiting) {
        worker.post([waiting] { waiting.resume(); });
      }
      void await_resume() const {}
    };
    return Awaiter{*this};
  }

  boost::asio::io_context& io() { return io_; }
  const Clock& clock() const { return clock_; }
  Instant now() const { return now_; }  // the time at which this turn began
  void arm(Timer& timer, std::chrono::nanoseconds after) { timers_.arm(timer, clock_.now() + after); }
  void cancel(Timer& timer) { timers_.cancel(timer); }

  // `target.flush()` is called once, at the end of this turn or, where very many are registered, of one of the next. It
  // must stay alive until then or call forget_flush().
  void flush_later(Flushable& target);
  void forget_flush(Flushable& target);
  // The same for what goes to threads that are no workers: `target.flush()` is called in this turn, with its posts. Must
  // stay alive as long as the worker runs.
  void hand_over_later(Flushable& target);

  // Bytes of output that wait on this worker, kept by those who queue them. Any thread may read the sum.
  void count_output(ptrdiff_t change) {
    output_bytes_.store(output_bytes_.load(std::memory_order_relaxed) + static_cast<size_t>(change),
                        std::memory_order_relaxed);
  }
  size_t output_bytes() const { return output_bytes_.load(std::memory_order_relaxed); }

  // One buffer for every socket of this worker to read into; valid until the next read.
  std::span<char> read_buffer() { return {read_buffer_.get(), kReadBufferBytes}; }

  void start();
  void stop();  // from any thread; the turn under way is finished
  void join();

  // Instead of start(): one turn on the calling thread, with at most `sockets` ready sockets, without waiting.
  void step(int sockets = kSocketsPerTurn);
  // Something waits for a turn of this worker, whatever the time is: posts and flushes, not sockets and timers.
  bool has_posts();

 private:
  static constexpr size_t kReadBufferBytes = 256 * 1024;
  static constexpr int kSocketsPerTurn = 512;
  static constexpr size_t kCallbacksKept = 1024;
  static constexpr size_t kFlushesPerTurn = 256;  // about a millisecond; a room of 10,000 must not hold up the others

  void run();
  void turn();
  void begin_turn(int sockets);
  void run_mailbox();
  void run_callbacks();
  void end_turn();
  void flush_some();
  void send_posts();
  void wake_locked();

  const int index_;
  const Clock& clock_;
  WorkerPool& pool_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> io_guard_;
  TimingWheel timers_;
  Instant now_;
  std::unique_ptr<char[]> read_buffer_;
  std::atomic<size_t> output_bytes_{0};  // written by the worker alone
  std::vector<Flushable*> to_flush_;
  size_t next_flush_ = 0;  // first one in to_flush_ that waits
  std::vector<Flushable*> to_hand_over_;
  std::vector<std::vector<Callback>> outboxes_;  // by target index
  std::vector<Callback> running_;
  std::vector<Callback> own_posts_;

  std::mutex inbox_mutex_;
  std::vector<Callback> inbox_;    // guarded by inbox_mutex_
  bool asleep_ = false;            // guarded by inbox_mutex_
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

// The workers of a process, at most kWorkersMax. Made before everything that lives on them, destroyed after.
class WorkerPool {
 public:
  WorkerPool(int count, const Clock& clock);
  ~WorkerPool();

  int size() const { return static_cast<int>(workers_.size()); }
  Worker& at(int index) { return *workers_[static_cast<size_t>(index)]; }
  // The worker that owns what hashes to `hash`.
  Worker& owner_of(size_t hash) { return at(static_cast<int>((hash ^ hash >> 17) % workers_.size())); }

  void start();
  void stop_and_join();

 private:
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace tidemark
