#include "core/worker.h"

#include <pthread.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <iterator>
#include <utility>

#include "core/result.h"

namespace tidemark {
namespace {

thread_local Worker* t_current = nullptr;
constexpr auto kSleepMax = std::chrono::seconds(10);
constexpr size_t kNewestPerTurn = 64;  // flushed beside the oldest when more wait than a turn flushes

}  // namespace

Worker::Worker(int index, const Clock& clock, WorkerPool& pool)
    : index_(index),
      clock_(clock),
      pool_(pool),
      io_guard_(boost::asio::make_work_guard(io_)),
      timers_(clock.now()),
      now_(clock.now()),
      read_buffer_(std::make_unique_for_overwrite<char[]>(kReadBufferBytes)) {}

Worker::~Worker() = default;

Worker* Worker::current() { return t_current; }

void Worker::post(Callback callback) {
  Worker* const from = current();
  if (from == this) {
    own_posts_.push_back(std::move(callback));
    return;
  }
  if (from != nullptr && &from->pool_ == &pool_) {
    from->outboxes_[static_cast<size_t>(index_)].push_back(std::move(callback));
    return;
  }
  const std::lock_guard lock(inbox_mutex_);
  inbox_.push_back(std::move(callback));
  wake_locked();
}

void Worker::post_all(std::vector<Callback>& callbacks) {
  if (callbacks.empty()) {
    return;
  }
  {
    const std::lock_guard lock(inbox_mutex_);
    if (inbox_.empty()) {
      inbox_.swap(callbacks);
    } else {
      inbox_.insert(inbox_.end(), std::make_move_iterator(callbacks.begin()), std::make_move_iterator(callbacks.end()));
    }
    wake_locked();
  }
  callbacks.clear();
}

void Worker::wake_locked() {
  if (asleep_) {
    asleep_ = false;
    boost::asio::post(io_, [] {});
  }
}

void Worker::flush_later(Flushable& target) {
  if (!target.flush_registered_) {
    target.flush_registered_ = true;
    to_flush_.push_back(&target);
  }
}

void Worker::forget_flush(Flushable& target) {
  if (target.flush_registered_) {
    target.flush_registered_ = false;
    std::replace(to_flush_.begin(), to_flush_.end(), &target, static_cast<Flushable*>(nullptr));
  }
}

void Worker::hand_over_later(Flushable& target) {
  if (!target.flush_registered_) {
    target.flush_registered_ = true;
    to_hand_over_.push_back(&target);
  }
}

void Worker::start() {
  outboxes_.resize(static_cast<size_t>(pool_.size()));
  thread_ = std::thread([this] { run(); });
  pthread_setname_np(thread_.native_handle(), ("worker-" + std::to_string(index_)).c_str());
}

void Worker::stop() {
  stopping_.store(true);
  const std::lock_guard lock(inbox_mutex_);
  wake_locked();
}

void Worker::join() {
  if (thread_.joinable()) {
    thread_.join();
  }
}

void Worker::run() {
  t_current = this;
  while (!stopping_.load()) {
    turn();
  }
  do {
    end_turn();  // the last words of connections that were closed in one go
  } while (!to_flush_.empty());
  t_current = nullptr;
}

void Worker::step(int sockets) {
  outboxes_.resize(static_cast<size_t>(pool_.size()));
  t_current = this;
  begin_turn(sockets);
  end_turn();
  t_current = nullptr;
}

bool Worker::has_posts() {
  const std::lock_guard lock(inbox_mutex_);
  return !inbox_.empty() || !own_posts_.empty() || !to_flush_.empty();
}

void Worker::begin_turn(int sockets) {
  now_ = clock_.now();
  timers_.advance(now_);
  run_mailbox();
  for (int i = 0; i < sockets && io_.poll_one() > 0; ++i) {
  }
}

void Worker::turn() {
  begin_turn(kSocketsPerTurn);
  end_turn();
  {
    const std::lock_guard lock(inbox_mutex_);
    if (!inbox_.empty() || !own_posts_.empty() || !to_flush_.empty() || stopping_.load()) {
      return;
    }
    asleep_ = true;
  }
  std::chrono::nanoseconds sleep = kSleepMax;
  if (const auto next = timers_.next()) {
    sleep = std::clamp<std::chrono::nanoseconds>(*next - clock_.now(), std::chrono::nanoseconds(0), kSleepMax);
  }
  now_ = clock_.now();
  io_.run_one_for(sleep);  // the first of what came; the next turn begins at once, and ends for all of it
  const std::lock_guard lock(inbox_mutex_);
  asleep_ = false;
}

void Worker::run_mailbox() {
  {
    const std::lock_guard lock(inbox_mutex_);
    running_.swap(inbox_);
  }
  run_callbacks();
  // What is posted to oneself runs in this turn, once: a post that posts again waits for the next turn.
  running_.swap(own_posts_);
  run_callbacks();
}

void Worker::run_callbacks() {
  for (Callback& callback : running_) {
    callback();
  }
  running_.clear();
  if (running_.capacity() > kCallbacksKept) {
    std::vector<Callback>().swap(running_);  // of a burst
  }
}

// flush() may close a connection, which may register others: the vector may grow while it is walked.
void Worker::flush_some() {
  const auto flush = [](Flushable* target) {
    if (target != nullptr) {
      target->flush_registered_ = false;
      target->flush();
    }
  };
  // What came last is seldom of the large room that still waits: a reply does not stand behind ten thousand.
  for (size_t i = 0; i < kNewestPerTurn && to_flush_.size() - next_flush_ > kFlushesPerTurn; ++i) {
    Flushable* const target = to_flush_.back();
    to_flush_.pop_back();
    flush(target);
  }
  const size_t end = next_flush_ + kFlushesPerTurn;
  while (next_flush_ < to_flush_.size() && next_flush_ < end) {
    flush(std::exchange(to_flush_[next_flush_++], nullptr));
  }
  if (next_flush_ == to_flush_.size()) {
    to_flush_.clear();
    next_flush_ = 0;
  } else if (next_flush_ > to_flush_.size() / 2) {
    to_flush_.erase(to_flush_.begin(), to_flush_.begin() + static_cast<std::ptrdiff_t>(next_flush_));
    next_flush_ = 0;
  }
}

void Worker::send_posts() {
  for (size_t i = 0; i < to_hand_over_.size(); ++i) {
    to_hand_over_[i]->flush_registered_ = false;
    to_hand_over_[i]->flush();
  }
  to_hand_over_.clear();
  for (size_t i = 0; i < outboxes_.size(); ++i) {
    pool_.at(static_cast<int>(i)).post_all(outboxes_[i]);
  }
}

void Worker::end_turn() {
  send_posts();
  if (!to_flush_.empty()) {
    flush_some();
    send_posts();  // a connection that turned out to be lost gives back what it held
  }
}

WorkerPool::WorkerPool(int count, const Clock& clock) {
  TIDEMARK_CHECK(count <= kWorkersMax);
  for (int i = 0; i < count; ++i) {
    workers_.push_back(std::make_unique<Worker>(i, clock, *this));
  }
}

WorkerPool::~WorkerPool() { stop_and_join(); }

void WorkerPool::start() {
  for (const auto& worker : workers_) {
    worker->start();
  }
}

void WorkerPool::stop_and_join() {
  for (const auto& worker : workers_) {
    worker->stop();
  }
  for (const auto& worker : workers_) {
    worker->join();
  }
}

}  // namespace tidemark
