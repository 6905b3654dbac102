// JobQueue: jobs that wait for a storage thread. Used only by databases.
//
// Owner: shared by those who submit and the threads that take; guarded by its own mutex. Bounded: push() says
// what found no room.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <span>
#include <vector>

#include "storage/database.h"

namespace tidemark::storage {

class JobQueue {
 public:
  explicit JobQueue(size_t jobs_max) : jobs_max_(jobs_max) {}

  // How many of them, from the first on, found room; none after close().
  size_t push(std::span<Job* const> jobs) {
    const std::lock_guard lock(mutex_);
    const size_t room = closed_ ? 0 : jobs_max_ - std::min(jobs_max_, jobs_.size());
    const size_t taken = std::min(room, jobs.size());
    jobs_.insert(jobs_.end(), jobs.begin(), jobs.begin() + static_cast<std::ptrdiff_t>(taken));
    if (taken == 1) {
      ready_.notify_one();
    } else if (taken > 1) {
      ready_.notify_all();
    }
    return taken;
  }
  // Waits for work; takes up to `count`, but leaves the others of `takers` their share. Empty: the queue is closed and
  // drained. `idle()` is called when nothing has come for a while, and again from time to time.
  template <class Idle>
  void take(std::vector<Job*>& jobs, size_t count, size_t takers, Idle idle) {
    jobs.clear();
    std::unique_lock lock(mutex_);
    const auto has_work = [this] { return closed_ || !jobs_.empty(); };
    for (auto patience = kIdleAfter; !ready_.wait_for(lock, patience, has_work); patience = kIdleAgain) {
      lock.unlock();
      idle();
      lock.lock();
    }
    move_some(jobs, std::clamp<size_t>((jobs_.size() + takers - 1) / takers, 1, count));
  }
  // Without waiting: what is there joins those in `jobs`, until these are `count`.
  void take_now(std::vector<Job*>& jobs, size_t count) {
    const std::lock_guard lock(mutex_);
    move_some(jobs, count);
  }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    ready_.notify_all();
  }
  bool closed() const {
    const std::lock_guard lock(mutex_);
    return closed_;
  }
  bool empty() const {
    const std::lock_guard lock(mutex_);
    return jobs_.empty();
  }

 private:
  static constexpr std::chrono::seconds kIdleAfter{2};
  static constexpr std::chrono::seconds kIdleAgain{30};

  void move_some(std::vector<Job*>& jobs, size_t count) {
    while (!jobs_.empty() && jobs.size() < count) {
      jobs.push_back(jobs_.front());
      jobs_.pop_front();
    }
  }

  const size_t jobs_max_;
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Job*> jobs_;
  bool closed_ = false;
};

}  // namespace tidemark::storage
