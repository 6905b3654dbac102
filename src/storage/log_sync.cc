#include "storage/log_sync.h"

#include <pthread.h>

#include <utility>

namespace tidemark::storage {
namespace {

void refuse(const std::vector<Job*>& jobs) {
  for (Job* const job : jobs) {
    JobRunner::set_status(*job, fail(Code::unavailable));
  }
}

}  // namespace

LogSync::LogSync(std::function<void(int)> failed, Histogram& commit_seconds, size_t held_reads_max)
    : failed_(std::move(failed)), commit_seconds_(commit_seconds), held_reads_max_(held_reads_max) {}

LogSync::~LogSync() { stop(); }

void LogSync::start() {
  started_ = true;
  thread_ = std::thread([this] { run(); });
  pthread_setname_np(thread_.native_handle(), "storage-sync");
}

void LogSync::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) {
    thread_.join();
  }
}

void LogSync::begin_commit() {
  begun_.fetch_add(1);
  commit_began_ = std::chrono::steady_clock::now();
}

void LogSync::commit_failed() { release_reads(true); }

void LogSync::commit_done() {
  observe_commit();
  release_reads(true);
}

void LogSync::observe_commit() {
  commit_seconds_.observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - commit_began_).count());
}

bool LogSync::sync_now(sqlite3_file& log) {
  if (has_failed_.load()) {
    return false;
  }
  const int code = log.pMethods->xSync(&log, SQLITE_SYNC_NORMAL);
  if (code == SQLITE_OK) {
    observe_commit();
  } else {
    has_failed_.store(true);
    failed_(code);
  }
  release_reads(code == SQLITE_OK);
  return code == SQLITE_OK;
}

bool LogSync::hand_over(sqlite3_file& log, std::vector<Job*>& jobs) {
  const std::lock_guard lock(mutex_);
  if (!started_ || stopping_ || chore_ != nullptr) {
    return false;
  }
  jobs_.swap(jobs);
  jobs.clear();
  log_.store(&log);
  wake_.notify_one();
  return true;
}

bool LogSync::wait() {
  if (busy()) {
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return !busy(); });
  }
  return !has_failed_.load();
}

void LogSync::answer_reads(const std::vector<Job*>& jobs) {
  const uint64_t seen = begun_.load();
  if (durable_.load() < seen) {
    std::unique_lock lock(mutex_);
    const auto is_known = [this, seen] { return durable_.load() >= seen || has_failed_.load(); };
    if (!is_known() && held_.size() + jobs.size() <= held_reads_max_) {
      held_.insert(held_.end(), jobs.begin(), jobs.end());
      return;
    }
    released_.wait(lock, is_known);
  }
  if (durable_.load() < seen) {
    refuse(jobs);
  }
  JobRunner::finish(jobs);
}

// Of the commit that was begun last: nothing is committed while another waits for its sync.
void LogSync::release_reads(bool durable) {
  std::vector<Job*> held;
  {
    const std::lock_guard lock(mutex_);
    if (durable) {
      durable_.store(begun_.load());
    }
    held.swap(held_);
    released_.notify_all();
  }
  if (!durable) {
    refuse(held);
  }
  JobRunner::finish(held);
}

void LogSync::do_aside(void (*chore)()) {
  const std::lock_guard lock(mutex_);
  if (!busy()) {
    chore_ = chore;
    wake_.notify_one();
  }
}

void LogSync::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || busy() || chore_ != nullptr; });
    if (sqlite3_file* const log = log_.load()) {
      lock.unlock();
      if (!sync_now(*log)) {
        refuse(jobs_);
      }
      JobRunner::finish(jobs_);
      jobs_.clear();
      lock.lock();
      log_.store(nullptr);
      done_.notify_one();
    } else if (chore_ != nullptr && !stopping_) {
      lock.unlock();
      chore_();
      lock.lock();
      chore_ = nullptr;
    } else {
      return;
    }
  }
}

}  // namespace tidemark::storage
