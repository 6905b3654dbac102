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

bool takes(RateBucket& bucket, Instant now) { return bucket.take(now).count() == 0; }

TEST(RateBucket, GivesTheBurstAndNoneMore) {
  RateBucket bucket({.per_second = 20, .burst = 40});
  for (int i = 0; i < 40; ++i) {
    EXPECT_TRUE(takes(bucket, kStart)) << i;
  }
  EXPECT_EQ(bucket.take(kStart), milliseconds(50));
  EXPECT_EQ(bucket.take(kStart), milliseconds(50)) << "a refusal costs nothing";
}

TEST(RateBucket, GivesOneMoreWhenItSaidSo) {
  RateBucket bucket({.per_second = 20, .burst = 2});
  EXPECT_TRUE(takes(bucket, kStart));
  EXPECT_TRUE(takes(bucket, kStart));
  const nanoseconds wait = bucket.take(kStart);
  EXPECT_FALSE(takes(bucket, kStart + wait - nanoseconds(1)));
  EXPECT_TRUE(takes(bucket, kStart + wait));
  EXPECT_FALSE(takes(bucket, kStart + wait));
}

TEST(RateBucket, HoldsTheRateOverTime) {
  RateBucket bucket({.per_second = 100, .burst = 10});
  int taken = 0;
  for (int ms = 0; ms < 10'000; ++ms) {
    taken += takes(bucket, kStart + milliseconds(ms));
  }
  EXPECT_GE(taken, 1000);
  EXPECT_LE(taken, 1010);
}

TEST(RateBucket, SavesNoMoreThanTheBurst) {
  RateBucket bucket({.per_second = 20, .burst = 5});
  EXPECT_TRUE(takes(bucket, kStart));
  int taken = 0;
  while (takes(bucket, kStart + std::chrono::hours(1))) {
    ++taken;
  }
  EXPECT_EQ(taken, 5);
}

TEST(RateBucket, KnowsWhenItIsAsGoodAsNew) {
  RateBucket bucket({.per_second = 10, .burst = 5});
  EXPECT_TRUE(bucket.is_full(kStart));
  EXPECT_TRUE(takes(bucket, kStart));
  EXPECT_FALSE(bucket.is_full(kStart + milliseconds(99)));
  EXPECT_TRUE(bucket.is_full(kStart + milliseconds(100)));
}

TEST(RateBucket, IsSharedByThreadsWithoutLosingCount) {
  RateBucket bucket({.per_second = 1, .burst = 1000});
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

TEST(RateLimiter, AUserHasOneBucketOnAllWorkers) {
  ManualClock clock;
  WorkerPool workers(2, clock);
  RateLimiter limiter(workers, {.per_second = 20, .burst = 40});
  workers.start();
  std::shared_ptr<RateBucket> first;
  std::shared_ptr<RateBucket> second;
  std::shared_ptr<RateBucket> of_other_tenant;
  const UserKey alice(TenantId("t"), UserId("alice"));
  const UserKey other(TenantId("t2"), UserId("alice"));
  finish_on(workers.at(0), [&]() -> Task<> {
    first = co_await limiter.bucket_of(alice);
    EXPECT_EQ(Worker::current()->index(), 0);
    of_other_tenant = co_await limiter.bucket_of(other);
  });
  finish_on(workers.at(1), [&]() -> Task<> {
    second = co_await limiter.bucket_of(alice);
    EXPECT_EQ(Worker::current()->index(), 1);
  });
  EXPECT_EQ(first, second);
  EXPECT_NE(first, of_other_tenant);
}

TEST(RateLimiter, ForgetsBucketsThatNobodyUsesAndThatAreFullOnly) {
  ManualClock clock;
  clock.advance(seconds(1));
  WorkerPool workers(1, clock);
  RateLimiter limiter(workers, {.per_second = 1, .burst = 1});
  workers.start();
  std::weak_ptr<RateBucket> idle;
  std::weak_ptr<RateBucket> used;
  finish_on(workers.at(0), [&]() -> Task<> {
    const UserKey idle_user(TenantId("t"), UserId("idle"));
    const UserKey used_user(TenantId("t"), UserId("used"));
    idle = co_await limiter.bucket_of(idle_user);
    const auto bucket = co_await limiter.bucket_of(used_user);
    used = bucket;
    bucket->take(clock.now());
    for (int i = 0; i < 2000; ++i) {
      const UserKey one(TenantId("t"), UserId(std::to_string(i)));
      co_await limiter.bucket_of(one);
    }
  });
  EXPECT_TRUE(idle.expired());
  EXPECT_FALSE(used.expired()) << "a new bucket would give tokens that this one has given";
}

}  // namespace
}  // namespace tidemark::command
