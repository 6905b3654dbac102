#include "core/worker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/worker_fixture.h"

namespace tidemark {
namespace {

using std::chrono::milliseconds;

class WorkerTest : public ::testing::Test {
 protected:
  WorkerTest() { workers_.start(); }

  SystemClock clock_;
  WorkerPool workers_{2, clock_};
  Worker& one_ = workers_.at(0);
  Worker& two_ = workers_.at(1);
};

TEST_F(WorkerTest, PostsOfOneThreadRunInOrder) {
  std::vector<int> seen;
  for (int i = 0; i < 10'000; ++i) {
    one_.post([&seen, i] { seen.push_back(i); });
  }
  run_on(one_, [] {});
  ASSERT_EQ(seen.size(), 10'000u);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
}

TEST_F(WorkerTest, PostsBetweenWorkersRunInOrder) {
  std::vector<int> seen;
  const auto post_some = [&](int from) {
    for (int i = from; i < from + 100; ++i) {
      two_.post([&seen, i] { seen.push_back(i); });
    }
  };
  for (int turn = 0; turn < 20; ++turn) {
    one_.post([post_some, turn] { post_some(turn * 100); });
  }
  ASSERT_TRUE(eventually(two_, [&] { return seen.size() == 2000; }));
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
}

// What a worker posts to another one leaves at the end of its turn, so that many posts cost one wake-up.
TEST_F(WorkerTest, PostsToOthersLeaveAtTheEndOfTheTurn) {
  std::promise<void> arrived;
  auto has_arrived = arrived.get_future();
  const bool arrived_within_the_turn = run_on(one_, [&] {
    two_.post([&] { arrived.set_value(); });
    // The other worker gets turns in the meantime, which it answers to a thread that is no worker.
    std::promise<void> other_turn;
    auto done = other_turn.get_future();
    std::thread([&] { two_.post([&] { other_turn.set_value(); }); }).join();
    done.wait();
    return has_arrived.wait_for(milliseconds(0)) == std::future_status::ready;
  });
  EXPECT_FALSE(arrived_within_the_turn);
  has_arrived.wait();
}

TEST_F(WorkerTest, APostToOneselfRunsAfterTheCallerAndBeforeALaterTurnsPosts) {
  std::vector<std::string> seen;
  run_on(one_, [&] {
    one_.post([&] {
      seen.push_back("posted");
      one_.post([&] { seen.push_back("posted by posted"); });
    });
    seen.push_back("caller");
  });
  ASSERT_TRUE(eventually(one_, [&] { return seen.size() == 3; }));
  EXPECT_EQ(seen, (std::vector<std::string>{"caller", "posted", "posted by posted"}));
}

TEST_F(WorkerTest, PostAllRunsInOrderAndLeavesTheListEmpty) {
  std::vector<int> seen;
  std::vector<Callback> callbacks;
  for (int i = 0; i < 100; ++i) {
    callbacks.emplace_back([&seen, i] { seen.push_back(i); });
  }
  one_.post_all(callbacks);
  EXPECT_TRUE(callbacks.empty());
  one_.post_all(callbacks);
  run_on(one_, [] {});
  ASSERT_EQ(seen.size(), 100u);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
}

TEST_F(WorkerTest, KnowsWhoseTurnItIs) {
  EXPECT_EQ(Worker::current(), nullptr);
  EXPECT_EQ(run_on(one_, [] { return Worker::current(); }), &one_);
  EXPECT_TRUE(run_on(two_, [this] { return two_.is_current() && !one_.is_current(); }));
  EXPECT_EQ(two_.index(), 1);
}

TEST_F(WorkerTest, EnterMovesACoroutineThereAndBack) {
  std::vector<int> at;
  finish_on(one_, [&]() -> Task<> {
    at.push_back(Worker::current()->index());
    co_await one_.enter();
    at.push_back(Worker::current()->index());
    co_await two_.enter();
    at.push_back(Worker::current()->index());
    co_await one_.enter();
    at.push_back(Worker::current()->index());
  });
  EXPECT_EQ(at, (std::vector<int>{0, 0, 1, 0}));
}

TEST_F(WorkerTest, EnterDoesNotSuspendWhereItIs) {
  std::vector<std::string> seen;
  run_on(one_, [&] {
    const auto coroutine = [&]() -> Task<> {
      co_await one_.enter();
      seen.push_back("entered");
    };
    spawn(coroutine());
    seen.push_back("spawned");
  });
  EXPECT_EQ(seen, (std::vector<std::string>{"entered", "spawned"}));
}

struct Alarm {
  explicit Alarm(std::promise<Instant>& to) : fired(to) {}
  std::promise<Instant>& fired;
  Timer timer{[](void* self) { static_cast<Alarm*>(self)->fired.set_value(Worker::current()->clock().now()); }, this};
};

TEST_F(WorkerTest, ATimerWakesASleepingWorkerNotBeforeItsTime) {
  std::promise<Instant> fired;
  Alarm alarm(fired);
  const Instant armed_at = clock_.now();
  run_on(one_, [&] { one_.arm(alarm.timer, milliseconds(5)); });
  EXPECT_GE(fired.get_future().get() - armed_at, milliseconds(5));
}

TEST_F(WorkerTest, ACancelledTimerStaysSilent) {
  std::promise<Instant> cancelled;
  std::promise<Instant> later;
  Alarm silent(cancelled);
  Alarm loud(later);
  run_on(one_, [&] {
    one_.arm(silent.timer, milliseconds(1));
    one_.arm(loud.timer, milliseconds(20));
    one_.cancel(silent.timer);
  });
  later.get_future().wait();
  EXPECT_EQ(cancelled.get_future().wait_for(milliseconds(0)), std::future_status::timeout);
}

struct Recorded : Flushable {
  explicit Recorded(std::vector<std::string>& to) : log(to) {}
  void flush() override {
    log.push_back("flush");
    if (also != nullptr) {
      Worker::current()->flush_later(*also);
    }
  }
  std::vector<std::string>& log;
  Flushable* also = nullptr;
};

TEST_F(WorkerTest, FlushesOncePerTurnAfterEverythingElse) {
  std::vector<std::string> log;
  Recorded target(log);
  run_on(one_, [&] {
    one_.flush_later(target);
    one_.flush_later(target);
    log.push_back("write");
    one_.post([&] { log.push_back("own post"); });
  });
  run_on(one_, [&] { one_.flush_later(target); });
  ASSERT_TRUE(eventually(one_, [&] { return log.size() == 4; }));
  EXPECT_EQ(log, (std::vector<std::string>{"write", "own post", "flush", "flush"}));
}

TEST_F(WorkerTest, WhatFlushingRegistersIsFlushedInTheSameTurn) {
  std::vector<std::string> log;
  Recorded first(log);
  Recorded second(log);
  first.also = &second;
  run_on(one_, [&] { one_.flush_later(first); });
  EXPECT_TRUE(run_on(one_, [&] { return log.size() == 2; }));
}

TEST_F(WorkerTest, OtherWorkHasItsTurnBetweenVeryManyFlushes) {
  std::vector<std::string> log;
  std::vector<std::unique_ptr<Recorded>> room;
  for (int i = 0; i < 1000; ++i) {
    room.push_back(std::make_unique<Recorded>(log));
  }
  struct Posting : Flushable {
    explicit Posting(std::vector<std::string>& of) : log(of) {}
    void flush() override {
      Worker::current()->post([this] { flushed_before = log.size(); });
    }
    std::vector<std::string>& log;
    size_t flushed_before = 0;
  };
  Posting first(log);
  run_on(one_, [&] {
    one_.flush_later(first);
    for (const auto& target : room) {
      one_.flush_later(*target);
    }
  });
  ASSERT_TRUE(eventually(one_, [&] { return log.size() == 1000; }));
  EXPECT_TRUE(run_on(one_, [&] { return first.flushed_before > 0 && first.flushed_before < 1000; }));
  run_on(one_, [&] { one_.flush_later(*room[0]); });
  ASSERT_TRUE(eventually(one_, [&] { return log.size() == 1001; }));
}

TEST_F(WorkerTest, WhatWasForgottenIsNotFlushed) {
  std::vector<std::string> log;
  Recorded kept(log);
  run_on(one_, [&] {
    const auto gone = std::make_unique<Recorded>(log);
    one_.flush_later(*gone);
    one_.flush_later(kept);
    one_.forget_flush(*gone);
    one_.forget_flush(*gone);
  });
  EXPECT_EQ(run_on(one_, [&] { return log.size(); }), 1u);
}

TEST_F(WorkerTest, RunsWhatIsReadyOnItsSockets) {
  std::promise<int> index;
  boost::asio::post(one_.io(), [&] { index.set_value(Worker::current()->index()); });
  EXPECT_EQ(index.get_future().get(), 0);
}

TEST(WorkerPool, StopsWhileWorkersPostToOneAnother) {
  const SystemClock clock;
  for (int round = 0; round < 20; ++round) {
    WorkerPool workers(3, clock);
    workers.start();
    std::function<void(int)> pass = [&](int at) {
      workers.at(at).post([&pass, &workers, at] { pass((at + 1) % workers.size()); });
    };
    for (int i = 0; i < 10; ++i) {
      pass(i % 3);
    }
    settle(workers, 2);
    workers.stop_and_join();
  }
}

TEST(WorkerPool, TakesPostsBeforeItIsStarted) {
  const SystemClock clock;
  WorkerPool workers(1, clock);
  int runs = 0;
  workers.at(0).post([&] { ++runs; });
  workers.start();
  EXPECT_EQ(run_on(workers.at(0), [&] { return runs; }), 1);
}

TEST(WorkerPool, GivesEveryHashAnOwner) {
  const SystemClock clock;
  WorkerPool workers(3, clock);
  std::vector<int> owned(3);
  for (size_t hash = 0; hash < 3000; ++hash) {
    ++owned[static_cast<size_t>(workers.owner_of(std::hash<std::string>{}(std::to_string(hash))).index())];
  }
  for (const int count : owned) {
    EXPECT_GT(count, 800);
  }
}

}  // namespace
}  // namespace tidemark
