// Retention: removes entries that are older than their kind is kept, in steps so small that traffic does not notice.
//
// A round walks all streams by their numbers. What is old is looked for on readers; the writer gets transactions that
// delete at most `step_entries` entries, of however many streams, and after each the job pauses for at least twice as
// long as it took, so that it never has more than a third of the writer's time.
//
// Owner: the first worker. Started after the workers; ends with them.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/metrics.h"
#include "core/worker.h"
#include "stream/store.h"

namespace tidemark::stream {

struct RetentionRule {
  StreamKind kind = StreamKind::conversation;
  std::chrono::milliseconds keep{};
  // Called in the same transaction when a stream's floor has risen: what rooms keep beside entries. May be empty.
  std::function<void(storage::Transaction&, StreamId, int64_t floor)> expired;
};

struct RetentionOptions {
  int64_t step_entries = 100;    // deleted in one transaction
  int64_t step_streams = 2000;   // looked at in one read
  int found_streams = 64;        // with old entries, of one read
  std::chrono::nanoseconds first_round = std::chrono::seconds(1);
  std::chrono::nanoseconds between_rounds = std::chrono::minutes(10);
  std::chrono::nanoseconds pause_min = std::chrono::milliseconds(5);
};

class Retention {
 public:
  Retention(WorkerPool& workers, storage::Database& database, const Clock& clock, std::vector<RetentionRule> rules,
            RetentionOptions options, MetricRegistry& metrics);

  void start();

 private:
  Task<> step();
  Task<Status> look(const RetentionRule& rule);
  Task<Status> remove(const RetentionRule& rule);
  int64_t oldest_kept(const RetentionRule& rule) const { return clock_.unix_ms() - rule.keep.count(); }

  WorkerPool& workers_;
  storage::Database& database_;
  const Clock& clock_;
  const std::vector<RetentionRule> rules_;
  const RetentionOptions options_;
  Counter& removed_;
  Histogram& step_entries_;
  size_t rule_ = 0;
  StreamId after_{};             // streams up to here have been looked at under this rule
  bool more_ = false;            // there are streams behind `after_`
  std::vector<StreamId> found_;  // streams with old entries that are still to be removed
  Timer timer_;
};

}  // namespace tidemark::stream
