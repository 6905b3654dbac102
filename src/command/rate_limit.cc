#include "command/rate_limit.h"

#include <algorithm>

namespace tidemark::command {
namespace {

constexpr double kNanosPerSecond = 1e9;
constexpr std::string_view kNames[kRates] = {"none", "durable", "edit", "creation", "signal", "query", "upkeep"};
constexpr std::string_view kTexts[kRates] = {"", "too many messages", "too many operations",
                                             "too many new conversations or sessions",
                                             "too many signals", "too many queries", "too many pings and acks"};

int64_t nanos(Instant instant) { return instant.time_since_epoch().count(); }

}  // namespace

std::string_view name_of(Rate rate) { return kNames[static_cast<size_t>(rate)]; }

std::chrono::nanoseconds RateBucket::take(Instant now, const RateOptions& options, double tokens) {
  const auto interval = static_cast<int64_t>(kNanosPerSecond / options.per_second * tokens);
  const auto tolerance = static_cast<int64_t>(kNanosPerSecond / options.per_second * options.burst);
  int64_t arrival = arrival_ns_.load(std::memory_order_relaxed);
  for (;;) {
    // Emptier than empty: it was filled slower until now. Such a debt is forgiven.
    const bool forgiven = arrival > nanos(now) + tolerance;
    const int64_t next = (forgiven ? nanos(now) : std::max(arrival, nanos(now))) + interval;
    const int64_t wait = next - tolerance - nanos(now);
    if (wait > 0) {
      return std::chrono::nanoseconds(wait);
    }
    if (arrival_ns_.compare_exchange_weak(arrival, next, std::memory_order_relaxed)) {
      return std::chrono::nanoseconds(0);
    }
  }
}

bool RateBucket::is_full(Instant now) const { return arrival_ns_.load(std::memory_order_relaxed) <= nanos(now); }

bool UserRates::is_full(Instant now) const {
  return std::all_of(buckets_.begin(), buckets_.end(), [now](const RateBucket& bucket) { return bucket.is_full(now); });
}

RateRules::RateRules(const RateTable& first, MetricRegistry& metrics) : table(first) {
  for (size_t i = 1; i < kRates; ++i) {
    refused[i] = &metrics.counter("tidemark_rate_limited_total", "Requests refused as too fast, by class.",
                                   {{"class", std::string(kNames[i])}});
  }
}

Status UserRates::take(Rate rate, Instant now) {
  const auto index = static_cast<size_t>(rate);
  const auto wait = buckets_[index].take(now, (*rules_.table)[index]);
  if (wait.count() == 0) {
    return {};
  }
  rules_.refused[index]->add();
  return Error{Code::rate_limited, std::string(kTexts[index]), {},
               std::chrono::ceil<std::chrono::milliseconds>(wait).count()};
}

RateLimiter::RateLimiter(WorkerPool& workers, RateTable table, MetricRegistry& metrics)
    : workers_(workers), rules_(table, metrics), shards_(static_cast<size_t>(workers.size())) {}

Task<std::shared_ptr<UserRates>> RateLimiter::rates_of(UserKey user) {
  Worker& from = *Worker::current();
  Worker& owner = workers_.owner_of(std::hash<UserKey>{}(user));
  co_await owner.enter();
  Shard& shard = shards_[static_cast<size_t>(owner.index())];
  if (shard.users.size() >= shard.sweep_at) {
    std::erase_if(shard.users,
                  [&](const auto& one) { return one.second.use_count() == 1 && one.second->is_full(owner.now()); });
    shard.sweep_at = std::max<size_t>(1024, shard.users.size() * 2);
  }
  auto& rates = shard.users[user];
  if (!rates) {
    rates = std::make_shared<UserRates>(rules_);
  }
  auto found = rates;
  co_await from.enter();
  co_return found;
}

}  // namespace tidemark::command
