#include "stream/retention.h"

#include <algorithm>

#include "core/log.h"

namespace tidemark::stream {
namespace {

constexpr int kPauseFactor = 2;

}  // namespace

Retention::Retention(WorkerPool& workers, storage::Database& database, const Clock& clock,
                     std::vector<RetentionRule> rules, RetentionOptions options, MetricRegistry& metrics)
    : workers_(workers),
      database_(database),
      clock_(clock),
      rules_(std::move(rules)),
      options_(options),
      removed_(metrics.counter("tidemark_retention_removed_total", "Entries that were removed for their age.")),
      step_entries_(metrics.histogram("tidemark_retention_step_entries", "Entries removed in one transaction.",
                                      {10, 100, 1000, 10000})),
      timer_([](void* context) { spawn(static_cast<Retention*>(context)->step()); }, this) {}

void Retention::start() {
  if (!rules_.empty()) {
    workers_.at(0).post([this] { workers_.at(0).arm(timer_, options_.first_round); });
  }
}

Task<> Retention::step() {
  const RetentionRule& rule = rules_[rule_];
  const Instant begin = clock_.now();
  Status done;
  if (found_.empty()) {
    done = co_await look(rule);
  } else {
    done = co_await remove(rule);
  }
  std::chrono::nanoseconds wait =
      std::max<std::chrono::nanoseconds>(kPauseFactor * (clock_.now() - begin), options_.pause_min);
  if (!done.ok()) {
    log_warn("stream.retention_failed");
    wait = options_.between_rounds;
  } else if (found_.empty() && !more_) {
    after_ = StreamId{};
    rule_ = (rule_ + 1) % rules_.size();
    wait = rule_ == 0 ? options_.between_rounds : wait;
  }
  workers_.at(0).arm(timer_, wait);
}

Task<Status> Retention::look(const RetentionRule& rule) {
  const int64_t before = oldest_kept(rule);
  const StreamId until{static_cast<int64_t>(after_) + options_.step_streams};
  struct Found {
    std::vector<StreamId> streams;
    bool more = false;
  };
  const auto found = co_await database_.read([&](storage::Transaction& tx) -> Result<Found> {
    return Found{streams_to_expire(tx, rule.kind, after_, until, before, options_.found_streams),
                 newest_stream(tx) > until};
  });
  if (!found.ok()) {
    co_return found.error();
  }
  found_ = found->streams;
  const bool cut = found_.size() == static_cast<size_t>(options_.found_streams);
  after_ = cut ? found_.back() : until;
  more_ = cut || found->more;
  co_return Status();
}

Task<Status> Retention::remove(const RetentionRule& rule) {
  const int64_t before = oldest_kept(rule);
  struct Done {
    size_t streams = 0;  // the last so many of found_ need nothing more
    int64_t entries = 0;
  };
  const auto done = co_await database_.write([&](storage::Transaction& tx) -> Result<Done> {
    Done result;
    while (result.streams < found_.size() && result.entries < options_.step_entries) {
      const auto stream = stream_by_id(tx, found_[found_.size() - 1 - result.streams]);
      const int64_t limit = options_.step_entries - result.entries;
      const int64_t floor = stream ? expire_entries(tx, *stream, before, limit) : 0;
      const int64_t removed = stream ? floor - stream->floor : 0;
      if (removed > 0 && rule.expired) {
        rule.expired(tx, stream->id, floor);
      }
      result.entries += removed;
      if (removed == limit) {
        break;  // the same stream again in the next step
      }
      ++result.streams;
    }
    return result;
  });
  if (!done.ok()) {
    co_return done.error();
  }
  found_.resize(found_.size() - done->streams);
  removed_.add(static_cast<uint64_t>(done->entries));
  step_entries_.observe(static_cast<double>(done->entries));
  co_return Status();
}

}  // namespace tidemark::stream
