// SqliteWriter: the connection that does every write and every checkpoint. Used only by the files storage/sqlite_*.
//
// Group commit: while the log of one batch is being synced, the closures of the next run; what is queued when the fsync
// returns is committed together. A closure that fails undoes itself only, as if each had its own savepoint.
//
// Owner: the writer thread (or whoever steps it). Says to StoreHealth what goes wrong.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "core/metrics.h"
#include "storage/job_queue.h"
#include "storage/log_sync.h"
#include "storage/sqlite_connection.h"
#include "storage/sqlite_database.h"

namespace tidemark::storage {

inline constexpr int kCacheWriterKib = 65536;

// Whether the store can be used. Any thread.
class StoreHealth {
 public:
  explicit StoreHealth(const SqliteOptions& options) : options_(options) {}

  bool good() const { return good_.load(); }
  void note_failure(std::string_view during, int code);  // a failed fsync is the end of writing
  void note_damage(int code) const;

 private:
  const SqliteOptions& options_;
  std::atomic<bool> good_{true};
};

class SqliteWriter {
 public:
  SqliteWriter(const SqliteOptions& options, std::unique_ptr<SqliteConnection> connection, JobQueue& queue,
               StoreHealth& health, MetricRegistry& metrics);

  LogSync& log_sync() { return sync_; }

  void loop();  // until the queue is closed and drained
  bool step();  // commits a batch, or answers the one before; false: nothing to do
  void end();   // the last checkpoint
  // What is in the log's file is wiped off when the next batch is answered; wiped() says whether it could be.
  void ask_wipe() {
    wiped_.store(false);
    wipe_.store(true);
  }
  bool wiped() const { return wiped_.load(); }

 private:
  enum class Undo : uint8_t {
    batch,    // no savepoints, which cost two statements and a copy of every page that a closure touches
    closure,  // a savepoint for each
  };
  // What became of a closure, or of all of them.
  struct Ran {
    int code = SQLITE_OK;    // else: the whole batch has been rolled back, or has to be, for that reason
    bool leftovers = false;  // it failed, and what it changed can be undone with the whole batch only
  };

  void run_batch(std::vector<Job*>& jobs);
  bool commit_batch(std::vector<Job*>& jobs);
  int run_closures(std::vector<Job*>& jobs);
  Ran run_from(const std::vector<Job*>& jobs, size_t first, Undo undo);
  Ran run_closure(Job& job, Undo undo);
  void answer_batch(std::vector<Job*>& jobs);
  void tend_log();
  bool wants_checkpoint() const;
  bool checkpoint(int mode);
  sqlite3_file* log_file();
  void idle();

  const SqliteOptions& options_;
  JobQueue& queue_;
  StoreHealth& health_;
  std::unique_ptr<SqliteConnection> connection_;
  LogSync sync_;
  Histogram& batch_jobs_;
  Counter& failed_batches_;
  int wal_frames_ = 0;
  int frames_checkpointed_ = 0;
  double batch_jobs_mean_ = 0;  // of the newest ones
  bool log_grew_ = false;       // by the commit that was the last
  bool to_sync_ = false;        // it is to be synced before it is answered
  std::vector<Job*> answering_;  // stepped only
  std::atomic<bool> wipe_{false};   // the log is to be emptied
  std::atomic<bool> wiped_{false};  // and was
};

}  // namespace tidemark::storage
