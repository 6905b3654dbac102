// Rate limits: how many durable commands a user may send, over all connections and doors of this node.
#pragma once

#include <atomic>
#include <memory>
#include <unordered_map>
#include <vector>

#include "core/ids.h"
#include "core/worker.h"

namespace tidemark::command {

struct RateOptions {
  double per_second = 20;
  double burst = 40;
};

// A token bucket kept as one number, the theoretical arrival time of the generic cell rate algorithm (ITU-T I.371).
// Any thread; shared by all connections of a user, hence atomic.
class RateBucket {
 public:
  explicit RateBucket(RateOptions options);

  // Takes one token. Otherwise the time after which one will be there (never zero).
  std::chrono::nanoseconds take(Instant now);
  // Whether a new bucket would be the same.
  bool is_full(Instant now) const;

 private:
  const int64_t interval_ns_;   // between tokens
  const int64_t tolerance_ns_;  // burst
  std::atomic<int64_t> arrival_ns_{0};
};

// The buckets of all users. Each user's bucket is found on the worker that owns the user.
class RateLimiter {
 public:
  RateLimiter(WorkerPool& workers, RateOptions options);

  // Continues on the worker that called.
  Task<std::shared_ptr<RateBucket>> bucket_of(UserKey user);

 private:
  struct Shard {
    std::unordered_map<UserKey, std::shared_ptr<RateBucket>> buckets;
    size_t sweep_at = 1024;
  };

  WorkerPool& workers_;
  const RateOptions options_;
  std::vector<Shard> shards_;  // one per worker, touched only by it
};

}  // namespace tidemark::command
