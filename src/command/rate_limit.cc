#include "command/rate_limit.h"

#include <algorithm>

namespace tidemark::command {
namespace {

constexpr double kNanosPerSecond = 1e9;

int64_t nanos(Instant instant) { return instant.time_since_epoch().count(); }

}  // namespace

RateBucket::RateBucket(RateOptions options)
    : interval_ns_(static_cast<int64_t>(kNanosPerSecond / options.per_second)),
      tolerance_ns_(static_cast<int64_t>(kNanosPerSecond / options.per_second * options.burst)) {}

std::chrono::nanoseconds RateBucket::take(Instant now) {
  int64_t arrival = arrival_ns_.load(std::memory_order_relaxed);
  for (;;) {
    const int64_t next = std::max(arrival, nanos(now)) + interval_ns_;
    const int64_t wait = next - tolerance_ns_ - nanos(now);
    if (wait > 0) {
      return std::chrono::nanoseconds(wait);
    }
    if (arrival_ns_.compare_exchange_weak(arrival, next, std::memory_order_relaxed)) {
      return std::chrono::nanoseconds(0);
    }
  }
}

bool RateBucket::is_full(Instant now) const { return arrival_ns_.load(std::memory_order_relaxed) <= nanos(now); }

RateLimiter::RateLimiter(WorkerPool& workers, RateOptions options)
    : workers_(workers), options_(options), shards_(static_cast<size_t>(workers.size())) {}

Task<std::shared_ptr<RateBucket>> RateLimiter::bucket_of(UserKey user) {
  Worker& from = *Worker::current();
  Worker& owner = workers_.owner_of(std::hash<UserKey>{}(user));
  co_await owner.enter();
  Shard& shard = shards_[static_cast<size_t>(owner.index())];
  if (shard.buckets.size() >= shard.sweep_at) {
    std::erase_if(shard.buckets,
                  [&](const auto& one) { return one.second.use_count() == 1 && one.second->is_full(owner.now()); });
    shard.sweep_at = std::max<size_t>(1024, shard.buckets.size() * 2);
  }
  auto& bucket = shard.buckets[user];
  if (!bucket) {
    bucket = std::make_shared<RateBucket>(options_);
  }
  auto found = bucket;
  co_await from.enter();
  co_return found;
}

}  // namespace tidemark::command
