// A pool that is not started: its workers take turns on this thread, in the order that the test chooses.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "core/worker_fixture.h"

namespace tidemark {
namespace {

using std::chrono::milliseconds;

TEST(SteppedPool, TakesTurnsOnTheCallingThread) {
  ManualClock clock;
  WorkerPool workers(2, clock);
  Worker& one = workers.at(0);
  Worker& two = workers.at(1);
  std::vector<std::string> seen;
  one.post([&] {
    seen.push_back(one.is_current() ? "one" : "nobody");
    two.post([&] { seen.push_back(two.is_current() ? "two" : "nobody"); });
  });
  two.step();
  EXPECT_TRUE(seen.empty());
  EXPECT_TRUE(one.has_posts());
  one.step();
  EXPECT_FALSE(one.has_posts());
  EXPECT_EQ(seen, std::vector<std::string>{"one"}) << "posts to others leave with the turn and wait for theirs";
  two.step();
  EXPECT_EQ(seen, (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ(Worker::current(), nullptr);
}

// Whoever reads an answer and comes back through another worker must find what was given back with it.
TEST(SteppedPool, PostsAreInTheOtherMailboxBeforeTheTurnsOutputLeaves) {
  struct Output : Flushable {
    explicit Output(Worker& to) : other(to) {}
    void flush() override { posted_before = other.has_posts(); }
    Worker& other;
    bool posted_before = false;
  };
  ManualClock clock;
  WorkerPool workers(2, clock);
  Output output(workers.at(1));
  workers.at(0).post([&] {
    workers.at(0).flush_later(output);
    workers.at(1).post([] {});
  });
  workers.at(0).step();
  EXPECT_TRUE(output.posted_before);
}

TEST(SteppedPool, HandsOverOnceInTheTurnThatAskedForIt) {
  struct Count : Flushable {
    void flush() override { ++flushes; }
    int flushes = 0;
  };
  ManualClock clock;
  WorkerPool workers(1, clock);
  Count outside;
  workers.at(0).post([&] {
    workers.at(0).hand_over_later(outside);
    workers.at(0).hand_over_later(outside);
  });
  workers.at(0).step();
  EXPECT_EQ(outside.flushes, 1);
  workers.at(0).step();
  EXPECT_EQ(outside.flushes, 1);
}

TEST(SteppedPool, FlushesWhatIsNewBeforeTheRestOfALargeRoom) {
  struct Output : Flushable {
    void flush() override { flushed = true; }
    bool flushed = false;
  };
  ManualClock clock;
  WorkerPool workers(1, clock);
  Worker& worker = workers.at(0);
  std::vector<Output> room(2000);
  std::vector<Output> replies(3);
  worker.post([&] {
    for (Output& output : room) {
      worker.flush_later(output);
    }
  });
  worker.step();
  const auto is_flushed = [](const Output& output) { return output.flushed; };
  for (Output& reply : replies) {
    const auto before = std::count_if(room.begin(), room.end(), is_flushed);
    worker.post([&] { worker.flush_later(reply); });
    worker.step();
    EXPECT_TRUE(reply.flushed);
    EXPECT_FALSE(std::all_of(room.begin(), room.end(), is_flushed));
    EXPECT_GT(std::count_if(room.begin(), room.end(), is_flushed), before + 200) << "the room goes on as well";
  }
  while (worker.has_posts()) {
    worker.step();
  }
  EXPECT_TRUE(std::all_of(room.begin(), room.end(), is_flushed));
}

TEST(SteppedPool, SendsWhatFlushingPostsInTheSameTurn) {
  struct Output : Flushable {
    explicit Output(Worker& to) : other(to) {}
    void flush() override {
      other.post([] {});
    }
    Worker& other;
  };
  ManualClock clock;
  WorkerPool workers(2, clock);
  Output output(workers.at(1));
  workers.at(0).post([&] { workers.at(0).flush_later(output); });
  workers.at(0).step();
  EXPECT_TRUE(workers.at(1).has_posts());
}

TEST(SteppedPool, FiresTimersByTheClock) {
  ManualClock clock;
  WorkerPool workers(1, clock);
  int fired = 0;
  Timer timer([](void* count) { ++*static_cast<int*>(count); }, &fired);
  workers.at(0).post([&] { workers.at(0).arm(timer, milliseconds(100)); });
  workers.at(0).step();
  clock.advance(milliseconds(90));
  workers.at(0).step();
  EXPECT_EQ(fired, 0);
  clock.advance(milliseconds(30));
  workers.at(0).step();
  EXPECT_EQ(fired, 1);
}

TEST(SteppedPool, SeesAsManySocketsAsItIsTold) {
  ManualClock clock;
  WorkerPool workers(1, clock);
  int ready = 0;
  for (int i = 0; i < 3; ++i) {
    boost::asio::post(workers.at(0).io(), [&] { ++ready; });
  }
  workers.at(0).step(1);
  EXPECT_EQ(ready, 1);
  workers.at(0).step();
  EXPECT_EQ(ready, 3);
}

}  // namespace
}  // namespace tidemark
