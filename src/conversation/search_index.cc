#include "conversation/search_index.h"

#include <algorithm>

#include "conversation/search_store.h"
#include "core/log.h"

namespace tidemark::conversation {
namespace {

constexpr auto kPauseMin = std::chrono::milliseconds(5);
constexpr int kPauseFactor = 2;  // the index takes at most a third of the writer's time
constexpr auto kAfterFailure = std::chrono::seconds(1);

}  // namespace

SearchIndex::SearchIndex(Worker& worker, storage::Database& database, IndexOptions options, MetricRegistry& metrics)
    : worker_(worker),
      database_(database),
      options_(options),
      timer_([](void* self) { spawn(static_cast<SearchIndex*>(self)->run()); }, this),
      indexed_(metrics.counter("tidemark_search_indexed_total", "Entries that the full-text index has gone past.")),
      waiting_(metrics.gauge("tidemark_search_waiting", "Conversations that wait for the full-text index.")) {}

Task<> SearchIndex::start() {
  co_await worker_.enter();
  const auto newest = co_await database_.read(
      [](storage::Transaction& tx) -> Result<stream::StreamId> { return stream::newest_stream(tx); });
  const int64_t end = newest.ok() ? static_cast<int64_t>(*newest) : 0;
  for (int64_t after = 0; after < end; after += options_.scan_streams) {
    const auto behind =
        co_await database_.read([&](storage::Transaction& tx) -> Result<std::vector<stream::StreamId>> {
          return store::streams_to_index(tx, stream::StreamId{after}, stream::StreamId{after + options_.scan_streams});
        });
    if (!behind.ok()) {
      log_warn("conversation.search_scan_failed");
      co_return;
    }
    add(*behind);
  }
}

void SearchIndex::add(const std::vector<stream::StreamId>& streams) {
  worker_.assert_owner();
  for (const stream::StreamId stream : streams) {
    if (queued_.insert(stream).second) {
      queue_.push_back(stream);
    }
  }
  waiting_.set(static_cast<int64_t>(queue_.size()));
  if (!queue_.empty() && !timer_.armed()) {
    worker_.arm(timer_, kPauseMin);
  }
}

Task<> SearchIndex::catch_up() {
  Worker& from = *Worker::current();
  co_await worker_.enter();
  for (int i = 0; i < options_.catch_up_steps && !queue_.empty(); ++i) {
    if (!co_await step()) {
      break;
    }
  }
  co_await from.enter();
}

Task<> SearchIndex::run() {
  const Instant begin = worker_.clock().now();
  bool answered = true;
  if (merges_ > 0) {
    answered = co_await merge();
  } else {
    answered = co_await step();
  }
  if ((!queue_.empty() || merges_ > 0) && !timer_.armed()) {
    const auto pause = kPauseFactor * (worker_.clock().now() - begin);
    worker_.arm(timer_, answered ? std::max<std::chrono::nanoseconds>(pause, kPauseMin)
                                 : std::chrono::nanoseconds(kAfterFailure));
  }
}

Task<bool> SearchIndex::merge() {
  const auto more = co_await database_.write(
      [](storage::Transaction& tx) -> Result<bool> { return store::merge_index(tx); });
  merges_ = more.ok() && *more ? merges_ - 1 : 0;
  co_return more.ok();
}

Task<bool> SearchIndex::step() {
  const Gate::Pass pass = co_await gate_.enter();
  const std::vector<stream::StreamId> streams(
      queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(std::min(queue_.size(), options_.step_streams)));
  if (streams.empty()) {
    co_return true;
  }
  // What is added from here on may be newer than what this step sees, and has to be looked at again.
  for (const stream::StreamId stream : streams) {
    queued_.erase(stream);
  }
  struct Done {
    size_t streams = 0;  // the first so many need nothing more
    int64_t messages = 0;
  };
  const auto done = co_await database_.write([&](storage::Transaction& tx) -> Result<Done> {
    Done result;
    store::IndexBudget budget{options_.step_messages, options_.step_bytes};
    while (result.streams < streams.size() && budget.messages > 0 && budget.bytes > 0 &&
           store::index_stream(tx, streams[result.streams], budget)) {
      ++result.streams;
    }
    result.messages = options_.step_messages - budget.messages;
    return result;
  });
  const size_t finished = done.ok() ? done->streams : 0;
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(finished));
  queued_.insert(streams.begin() + static_cast<std::ptrdiff_t>(finished), streams.end());
  if (!done.ok()) {
    log_warn("conversation.search_index_failed");
    co_return false;
  }
  indexed_.add(static_cast<uint64_t>(done->messages));
  if (done->messages > 0) {
    merges_ = options_.merges_per_step;
    if (!timer_.armed()) {
      worker_.arm(timer_, kPauseMin);
    }
  }
  waiting_.set(static_cast<int64_t>(queue_.size()));
  co_return true;
}

}  // namespace tidemark::conversation
