// PostgresWriter: a connection that writes, and its queue. Used only by the files storage/postgres_*.
//
// Group commit: what waits when a transaction has ended goes into the next one together. If one of these closures fails
// after it has changed something, or a statement does, the transaction is rolled back and each closure gets its own.
// What cannot be known is found out. Each transaction begins by leaving a mark, a number of its own, in this writer's row,
// which it has locked until it ends. When the connection breaks during COMMIT, the row is locked over a new one: then the
// old transaction has ended, and its mark is there or not.
//
// Owner: the thread that runs loop(). The queue is anybody's.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "core/metrics.h"
#include "storage/job_queue.h"
#include "storage/postgres_guard.h"

namespace tidemark::storage {

class PostgresWriter {
 public:
  PostgresWriter(const PostgresOptions& options, PostgresGuard& guard, MetricRegistry& metrics);

  JobQueue& queue() { return queue_; }
  void loop();  // until the queue is closed and drained

 private:
  enum class Outcome : uint8_t {
    done,     // committed, and every job has its status
    apart,    // rolled back: to be run one by one
    again,    // rolled back by a lock that was not to be had, or by a deadlock
    conflict, // rolled back by a unique index: whoever came first can be seen now
    failed,   // rolled back; failure_ says why
    lost,     // the connection broke, and nothing was committed
    silent,   // the server does not answer; nothing was committed
    unknown,  // perhaps committed
  };

  void run_batch(std::span<Job* const> jobs);
  void run_apart(std::span<Job* const> jobs);
  Outcome run_alone(Job& job, std::chrono::steady_clock::time_point until);
  Outcome run_together(std::span<Job* const> jobs);
  Outcome run_closures(std::span<Job* const> jobs);
  Outcome outcome_of(const StatementFailed& failed, bool alone);
  Outcome find_out();
  void find_out_later();
  static void refuse(std::span<Job* const> jobs);

  const PostgresOptions& options_;
  PostgresGuard& guard_;
  JobQueue queue_;
  KeptConnection kept_;
  const std::string id_;  // of this writer's row
  int64_t mark_ = 0;      // of the newest transaction
  bool unknown_ = false;  // whether it was committed
  Error failure_;
  std::optional<std::chrono::steady_clock::time_point> committing_;  // since then
  Histogram& commit_seconds_;
  Histogram& batch_jobs_;
  Counter& failed_batches_;
};

}  // namespace tidemark::storage
