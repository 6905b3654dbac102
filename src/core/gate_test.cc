#include "core/gate.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/worker_fixture.h"

namespace tidemark {
namespace {

class GateTest : public ::testing::Test {
 protected:
  GateTest() { workers_.start(); }
  // Enters, notes `number`, and holds the gate while `held`.
  Task<> pass(int number, bool release_early) {
    Gate::Pass held = co_await gate_.enter();
    passed_.push_back(number);
    co_await workers_.at(1).enter();
    co_await workers_.at(0).enter();
    passed_.push_back(number);
    if (release_early) {
      held.release();
      held.release();
    }
  }

  SystemClock clock_;
  WorkerPool workers_{2, clock_};
  Gate gate_;
  std::vector<int> passed_;
};

TEST_F(GateTest, LetsOneThroughAtATimeInOrder) {
  run_on(workers_.at(0), [&] {
    for (int number = 0; number < 50; ++number) {
      spawn(pass(number, number % 2 == 0));
    }
    EXPECT_TRUE(gate_.busy());
  });
  ASSERT_TRUE(eventually(workers_.at(0), [&] { return passed_.size() == 100; }));
  for (size_t i = 0; i < passed_.size(); ++i) {
    ASSERT_EQ(passed_[i], static_cast<int>(i / 2));
  }
  EXPECT_TRUE(eventually(workers_.at(0), [&] { return !gate_.busy(); }));
}

TEST_F(GateTest, IsPassedAtOnceWhenFree) {
  run_on(workers_.at(0), [&] {
    const auto enter = [&]() -> Task<> {
      const Gate::Pass held = co_await gate_.enter();
      passed_.push_back(1);
    };
    spawn(enter());
    EXPECT_EQ(passed_, (std::vector<int>{1}));
    EXPECT_FALSE(gate_.busy());
  });
}

}  // namespace
}  // namespace tidemark
