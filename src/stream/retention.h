// Retention: removes entries that are older than their kind is kept, in steps so small that traffic does not notice.
//
// Owner: the first worker. Started after the workers; ends with them.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/worker.h"
#include "stream/store.h"

namespace tidemark::stream {

struct RetentionRule {
  StreamKind kind = StreamKind::conversation;
  std::chrono::milliseconds keep{};
  // Called in the same transaction when a stream's floor has risen: what rooms keep beside entries. May be empty.
  std::function<void(storage::Transaction&, StreamId, int64_t floor)> expired;
};

class Retention {
 public:
  Retention(WorkerPool& workers, storage::Database& database, const Clock& clock, std::vector<RetentionRule> rules);

  void start();

 private:
  Task<> step();

  WorkerPool& workers_;
  storage::Database& database_;
  const Clock& clock_;
  const std::vector<RetentionRule> rules_;
  size_t rule_ = 0;
  StreamId after_{};  // the last stream that was looked at under this rule
  Timer timer_;
};

}  // namespace tidemark::stream
