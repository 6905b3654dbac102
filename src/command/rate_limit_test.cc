#include "command/rate_limit.h"

#include <gtest/gtest.h>

#include <thread>

#include "core/worker_fixture.h"

namespace tidemark::command {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

const Instant kStart{std::chrono::hours(1000)};

// A bucket with what it allows.
struct Limited {
  RateOptions options;
  RateBucket bucket;

  nanoseconds take(Instant now) { return bucket.take(now, options); }
  bool is_full(Instant now) const { return bucket.is_full(now); }
};

bool takes(Limited& bucket, Instant now) { return bucket.take(now).count() == 0; }

RateTable table_of(RateOptions messages) {
  RateTable table;
  table[static_cast<size_t>(Rate::durable)] = messages;
  return table;
}

TEST(RateBucket, GivesTheBurstAndNoneMore) {
  Limited bucket{{.per_second = 20, .burst = 40}, {}};
  for (int i = 0; i < 40; ++i) {
    EXPECT_TRUE(takes(bucket, kStart)) << i;
  }
  EXPECT_EQ(bucket.take(kStart), milliseconds(50));
  EXPECT_EQ(bucket.take(kStart), milliseconds(50)) << "a refusal costs nothing";
}

TEST(RateBucket, GivesOneMoreWhenItSaidSo) {
  Limited bucket{{.per_second = 20, .burst = 2}, {}};
  EXPECT_TRUE(takes(bucket, kStart));
  EXPECT_TRUE(takes(bucket, kStart));
  const nanoseconds wait = bucket.take(kStart);
  EXPECT_FALSE(takes(bucket, kStart + wait - nanoseconds(1)));
  EXPECT_TRUE(takes(bucket, kStart + wait));
  EXPECT_FALSE(takes(bucket, kStart + wait));
}

TEST(RateBucket, GivesManyAtOnceAsIfOneByOne) {
  Limited bucket{{.per_second = 1000, .burst = 500}, {}};
  EXPECT_EQ(bucket.bucket.take(kStart, bucket.options, 400).count(), 0);
  EXPECT_EQ(bucket.bucket.take(kStart, bucket.options, 150), milliseconds(50));
  EXPECT_EQ(bucket.bucket.take(kStart, bucket.options, 100).count(), 0) << "what was refused was not taken";
  EXPECT_EQ(bucket.take(kStart), milliseconds(1));
}

TEST(RateBucket, HoldsTheRateOverTime) {
  Limited bucket{{.per_second = 100, .burst = 10}, {}};
  int taken = 0;
  for (int ms = 0; ms < 10'000; ++ms) {
    taken += takes(bucket, kStart + milliseconds(ms));
  }
  EXPECT_GE(taken, 1000);
  EXPECT_LE(taken, 1010);
}

TEST(RateBucket, SavesNoMoreThanTheBurst) {
  Limited bucket{{.per_second = 20, .burst = 5}, {}};
  EXPECT_TRUE(takes(bucket, kStart));
  int taken = 0;
  while (takes(bucket, kStart + std::chrono::hours(1))) {
    ++taken;
  }
  EXPECT_EQ(taken, 5);
}

TEST(RateBucket, ForgivesTheDebtOfASlowerRate) {
  Limited bucket{{.per_second = 1, .burst = 100}, {}};
  while (takes(bucket, kStart)) {
  }
  bucket.options = {.per_second = 1000, .burst = 10};
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(takes(bucket, kStart)) << i;
  }
  EXPECT_EQ(bucket.take(kStart), milliseconds(1));
}

TEST(RateBucket, KnowsWhenItIsAsGoodAsNew) {
  Limited bucket{{.per_second = 10, .burst = 5}, {}};
  EXPECT_TRUE(bucket.is_full(kStart));
  EXPECT_TRUE(takes(bucket, kStart));
  EXPECT_FALSE(bucket.is_full(kStart + milliseconds(99)));
  EXPECT_TRUE(bucket.is_full(kStart + milliseconds(100)));
}

TEST(RateBucket, IsSharedByThreadsWithoutLosingCount) {
  Limited bucket{{.per_second = 1, .burst = 1000}, {}};
  std::atomic<int> taken{0};
  const auto take_many = [&] {
    for (int i = 0; i < 1000; ++i) {
      taken += takes(bucket, kStart);
    }
  };
  std::thread other(take_many);
  take_many();
  other.join();
  EXPECT_EQ(taken, 1000);
}

TEST(UserRates, ClassesDoNotEatEachOther) {
  RateTable table;
  table.fill({.per_second = 1, .burst = 1});
  MetricRegistry metrics;
  const RateRules rules(table, metrics);
  UserRates rates(rules);
  EXPECT_TRUE(rates.take(Rate::query, kStart).ok());
  EXPECT_FALSE(rates.take(Rate::query, kStart).ok());
  for (const Rate rate : {Rate::durable, Rate::creation, Rate::signal}) {
    EXPECT_TRUE(rates.take(rate, kStart).ok()) << name_of(rate);
  }
  EXPECT_FALSE(rates.is_full(kStart));
  EXPECT_TRUE(rates.is_full(kStart + seconds(1)));
}

TEST(RateLimiter, AnotherTableHoldsForThoseWhoAreThere) {
  ManualClock clock;
  WorkerPool workers(1, clock);
  MetricRegistry metrics;
  RateLimiter limiter(workers, table_of({.per_second = 1, .burst = 2}), metrics);
  workers.start();
  std::shared_ptr<UserRates> rates;
  const UserKey alice(TenantId("t"), UserId("alice"));
  finish_on(workers.at(0), [&]() -> Task<> { rates = co_await limiter.rates_of(alice); });
  EXPECT_TRUE(rates->take(Rate::durable, kStart).ok());
  limiter.set_table(table_of({.per_second = 1, .burst = 1}));
  const Status refused = rates->take(Rate::durable, kStart);
  EXPECT_EQ(refused.error().code, Code::rate_limited);
  EXPECT_EQ(refused.error().retry_after_ms, 1000);
  EXPECT_EQ(metrics.counter("tidemark_rate_limited_total", "", {{"class", "durable"}}).value(), 1u);
  limiter.set_table(table_of({.per_second = 1, .burst = 5}));
  EXPECT_TRUE(rates->take(Rate::durable, kStart).ok());
}

TEST(RateLimiter, AUserHasOneBucketOnAllWorkers) {
  ManualClock clock;
  WorkerPool workers(2, clock);
  MetricRegistry metrics;
  RateLimiter limiter(workers, table_of({.per_second = 20, .burst = 40}), metrics);
  workers.start();
  std::shared_ptr<UserRates> first;
  std::shared_ptr<UserRates> second;
  std::shared_ptr<UserRates> of_other_tenant;
  const UserKey alice(TenantId("t"), UserId("alice"));
  const UserKey other(TenantId("t2"), UserId("alice"));
  finish_on(workers.at(0), [&]() -> Task<> {
    first = co_await limiter.rates_of(alice);
    EXPECT_EQ(Worker::current()->index(), 0);
    of_other_tenant = co_await limiter.rates_of(other);
  });
  finish_on(workers.at(1), [&]() -> Task<> {
    second = co_await limiter.rates_of(alice);
    EXPECT_EQ(Worker::current()->index(), 1);
  });
  EXPECT_EQ(first, second);
  EXPECT_NE(first, of_other_tenant);
}

TEST(RateLimiter, ForgetsBucketsThatNobodyUsesAndThatAreFullOnly) {
  ManualClock clock;
  clock.advance(seconds(1));
  WorkerPool workers(1, clock);
  MetricRegistry metrics;
  RateLimiter limiter(workers, table_of({.per_second = 1, .burst = 1}), metrics);
  workers.start();
  std::weak_ptr<UserRates> idle;
  std::weak_ptr<UserRates> used;
  finish_on(workers.at(0), [&]() -> Task<> {
    const UserKey idle_user(TenantId("t"), UserId("idle"));
    const UserKey used_user(TenantId("t"), UserId("used"));
    idle = co_await limiter.rates_of(idle_user);
    const auto bucket = co_await limiter.rates_of(used_user);
    used = bucket;
    EXPECT_TRUE(bucket->take(Rate::durable, clock.now()).ok());
    for (int i = 0; i < 2000; ++i) {
      const UserKey one(TenantId("t"), UserId(std::to_string(i)));
      co_await limiter.rates_of(one);
    }
  });
  EXPECT_TRUE(idle.expired());
  EXPECT_FALSE(used.expired()) << "a new bucket would give tokens that this one has given";
}

}  // namespace
}  // namespace tidemark::command
