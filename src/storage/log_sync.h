// LogSync: makes committed batches durable, and only then answers them. Used only by the files storage/sqlite_*.
//
// SQLite writes a commit into the log without waiting for the disk; the fsync is done here, on a thread of its own, while
// the writer already runs the closures of the next batch.
//
// Owner: SqliteDatabase. answer_reads() is for readers, all else for the writer.
// Promises: a job is answered after an fsync that covers its batch, or with `unavailable`. A read is answered after an
// fsync that covers all that it may have seen: nobody is told of what a power cut could take back. One fsync at a time,
// and nothing is committed meanwhile, if the writer waits before it commits. After one that failed there is none.
#pragma once

#include <sqlite3.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "core/metrics.h"
#include "storage/database.h"

namespace tidemark::storage {

class LogSync {
 public:
  // `failed(code)` is called once, on the thread whose fsync failed. `commit_seconds`: from begin_commit() to durable.
  // `held_reads_max`: so many reads wait for an fsync beside their readers; the readers of others wait with them.
  LogSync(std::function<void(int code)> failed, Histogram& commit_seconds, size_t held_reads_max);
  ~LogSync();
  LogSync(const LogSync&) = delete;
  LogSync& operator=(const LogSync&) = delete;

  void start();  // the thread; without it only sync_now() works
  void stop();   // after the writer's end

  // What is committed after this call may be seen by readers, and is not durable until its sync.
  void begin_commit();
  void commit_failed();
  void commit_done();  // without an fsync: it changed nothing, or nobody wants one
  // On the calling thread, without answers. False: it failed, now or before.
  bool sync_now(sqlite3_file& log);
  // On the thread, with the answers to `jobs`, which are taken. False: the thread is not free, nothing was done.
  bool hand_over(sqlite3_file& log, std::vector<Job*>& jobs);
  bool busy() const { return log_.load() != nullptr; }
  // Until no sync is under way. False: one has failed.
  bool wait();

  // Answers reads that have run: now, or when what they may have seen is durable. Waits only for want of room.
  void answer_reads(const std::vector<Job*>& jobs);

  // Something that may take its time, for when there is nothing to do; handing over is refused meanwhile.
  void do_aside(void (*chore)());

 private:
  void run();
  void observe_commit();
  void release_reads(bool durable);

  const std::function<void(int)> failed_;
  Histogram& commit_seconds_;
  const size_t held_reads_max_;
  std::atomic<uint64_t> begun_{0};
  std::atomic<uint64_t> durable_{0};
  std::atomic<bool> has_failed_{false};
  std::chrono::steady_clock::time_point commit_began_{};  // owner: the writer, and whoever syncs for it

  std::mutex mutex_;
  std::condition_variable wake_;            // the thread
  std::condition_variable done_;            // the writer
  std::condition_variable released_;        // readers
  std::atomic<sqlite3_file*> log_{nullptr};  // set under mutex_: to be synced, or being synced, by the thread
  std::vector<Job*> jobs_;                  // of that batch; owner: the thread while log_ is set
  std::vector<Job*> held_;                  // reads that wait for the sync under way; guarded by mutex_
  void (*chore_)() = nullptr;               // guarded by mutex_
  bool started_ = false;                    // owner: the writer
  bool stopping_ = false;                   // guarded by mutex_
  std::thread thread_;
};

}  // namespace tidemark::storage
