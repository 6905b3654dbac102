#include "stream/retention.h"

#include "core/log.h"

namespace tidemark::stream {
namespace {

constexpr int kStreamsPerStep = 50;
constexpr int kEntriesPerStream = 500;
constexpr auto kBetweenSteps = std::chrono::milliseconds(100);
constexpr auto kBetweenRounds = std::chrono::minutes(10);

}  // namespace

Retention::Retention(WorkerPool& workers, storage::Database& database, const Clock& clock,
                     std::vector<RetentionRule> rules)
    : workers_(workers),
      database_(database),
      clock_(clock),
      rules_(std::move(rules)),
      timer_([](void* context) { spawn(static_cast<Retention*>(context)->step()); }, this) {}

void Retention::start() {
  if (!rules_.empty()) {
    workers_.at(0).post([this] { workers_.at(0).arm(timer_, kBetweenRounds); });
  }
}

Task<> Retention::step() {
  const RetentionRule& rule = rules_[rule_];
  const int64_t before = clock_.unix_ms() - rule.keep.count();
  struct Progress {
    StreamId last{};
    bool more_streams = false;
    bool more_entries = false;
  };
  const auto progress = co_await database_.write([&](storage::Transaction& tx) -> Result<Progress> {
    Progress done;
    done.last = after_;
    const auto streams = streams_after(tx, rule.kind, after_, kStreamsPerStep);
    done.more_streams = streams.size() == kStreamsPerStep;
    for (const StreamRow& stream : streams) {
      const int64_t floor = expire_entries(tx, stream, before, kEntriesPerStream);
      if (floor > stream.floor && rule.expired) {
        rule.expired(tx, stream.id, floor);
      }
      if (floor - stream.floor >= kEntriesPerStream) {
        done.more_entries = true;  // the same stream again in the next step
        return done;
      }
      done.last = stream.id;
    }
    return done;
  });
  std::chrono::nanoseconds wait = kBetweenSteps;
  if (!progress.ok()) {
    log_warn("stream.retention_failed");
    wait = kBetweenRounds;
  } else if (progress->more_streams || progress->more_entries) {
    after_ = progress->last;
  } else {
    after_ = StreamId{};
    rule_ = (rule_ + 1) % rules_.size();
    wait = rule_ == 0 ? std::chrono::nanoseconds(kBetweenRounds) : wait;
  }
  workers_.at(0).arm(timer_, wait);
}

}  // namespace tidemark::stream
