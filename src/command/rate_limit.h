// Rate limits: how much a user may ask for, over all connections and doors of this node.
//
// What a client can ask for falls into a few classes by what it costs. Each class has its own allowance, so that
// somebody who scrolls through history can still send, and somebody who sends can still confirm.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/ids.h"
#include "core/live.h"
#include "core/metrics.h"
#include "core/worker.h"

namespace tidemark::command {

enum class Rate : uint8_t {
  none,      // costs next to nothing
  durable,   // stores an entry that others get, or changes what is stored
  edit,      // changes a document
  creation,  // makes something that stays: a conversation, a session
  signal,    // is told to others or moves a marker, and is not stored by itself
  query,     // reads from the store
  upkeep,    // ping and ack: keeps a connection going, costs little
};
inline constexpr size_t kRates = 7;
std::string_view name_of(Rate rate);

struct RateOptions {
  double per_second = 20;
  double burst = 40;
};
// By class; the entry of `none` is not looked at.
using RateTable = std::array<RateOptions, kRates>;

// A token bucket kept as one number, the theoretical arrival time of the generic cell rate algorithm (ITU-T I.371).
// Any thread. What it allows is said at each call, so that it can be changed while it is used.
class RateBucket {
 public:
  // Takes one token, or as many as `tokens` says: not more than the burst. Otherwise nothing, and the time after which
  // they will be there (never zero).
  std::chrono::nanoseconds take(Instant now, const RateOptions& options, double tokens = 1);
  // Whether a new bucket would be the same.
  bool is_full(Instant now) const;

 private:
  std::atomic<int64_t> arrival_ns_{0};
};

// What is allowed to everybody, and how often it was refused. Any thread.
struct RateRules {
  RateRules(const RateTable& first, MetricRegistry& metrics);

  Live<RateTable> table;
  std::array<Counter*, kRates> refused{};
};

// The buckets of one user. Any thread; shared by all the user's connections.
class UserRates {
 public:
  explicit UserRates(const RateRules& rules) : rules_(rules) {}

  // Takes a token of that class, else rate_limited with the time to wait.
  Status take(Rate rate, Instant now);
  bool is_full(Instant now) const;

 private:
  const RateRules& rules_;
  std::array<RateBucket, kRates> buckets_;
};

// The buckets of all users. Each user's are found on the worker that owns the user.
class RateLimiter {
 public:
  RateLimiter(WorkerPool& workers, RateTable table, MetricRegistry& metrics);

  // Continues on the worker that called.
  Task<std::shared_ptr<UserRates>> rates_of(UserKey user);

  // From now on, for those who are there too. From one thread.
  void set_table(const RateTable& table) { rules_.table.replace(table); }

 private:
  struct Shard {
    std::unordered_map<UserKey, std::shared_ptr<UserRates>> users;
    size_t sweep_at = 1024;
  };

  WorkerPool& workers_;
  RateRules rules_;
  std::vector<Shard> shards_;  // one per worker, touched only by it
};

}  // namespace tidemark::command
