// The job that writes the full-text index behind the messages. Private to the conversation room.
//
// Sending a message costs the index nothing: the job comes later, in small transactions of its own that stand in the
// writer's queue like everybody's, and pauses in proportion to what a step took. A search first lets it catch up a
// little (catch_up), so that one finds what one has just sent.
//
// Owner: the first worker. Started after the workers; ends with them.
#pragma once

#include <deque>
#include <unordered_set>

#include "conversation/model.h"
#include "core/metrics.h"

namespace tidemark::conversation {

struct IndexOptions {
  int64_t step_messages = 64;
  int64_t step_bytes = 256 * 1024;  // of text; a step ends with the message that reaches it
  size_t step_streams = 64;
  int64_t scan_streams = 10000;     // looked at in one read after a start
  int catch_up_steps = 16;          // that one search waits for
  int merges_per_step = 4;          // at most, each a transaction of its own
};

class SearchIndex {
 public:
  SearchIndex(Worker& worker, storage::Database& database, IndexOptions options, MetricRegistry& metrics);

  // Looks for what was left to do; from then on works by itself.
  Task<> start();
  // On the first worker: these streams have new messages, or a higher floor.
  void add(const std::vector<stream::StreamId>& streams);
  // Any worker; continues on it.
  Task<> catch_up();

 private:
  Task<> run();
  Task<bool> step();  // false: the store did not answer
  Task<bool> merge();

  Worker& worker_;
  storage::Database& database_;
  const IndexOptions options_;
  std::deque<stream::StreamId> queue_;
  std::unordered_set<stream::StreamId> queued_;
  Gate gate_;  // one step at a time
  int merges_ = 0;  // to be done before the next step
  Timer timer_;
  Counter& indexed_;
  Gauge& waiting_;
};

}  // namespace tidemark::conversation
