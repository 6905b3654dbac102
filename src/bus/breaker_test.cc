#include "bus/breaker.h"

#include <gtest/gtest.h>

namespace tidemark::bus {
namespace {

using namespace std::chrono_literals;

class BreakerTest : public ::testing::Test {
 protected:
  bool admits() { return breaker_.admits(clock_.now()); }
  void succeed() { breaker_.succeeded(clock_.now()); }
  void fail() { breaker_.failed(clock_.now()); }
  void fail_in_a_row(int times) {
    for (int i = 0; i < times; ++i) {
      ASSERT_TRUE(admits());
      fail();
    }
  }

  ManualClock clock_;
  Breaker breaker_{{.failures = 5, .silence = 2s, .retry = 1s}};
};

TEST_F(BreakerTest, OpensAfterFiveFailuresInARow) {
  fail_in_a_row(4);
  EXPECT_TRUE(admits());
  fail();
  EXPECT_TRUE(breaker_.is_open());
  EXPECT_FALSE(admits());
}

TEST_F(BreakerTest, AnAnswerBeginsTheCountAnew) {
  fail_in_a_row(4);
  EXPECT_TRUE(admits());
  succeed();
  fail_in_a_row(4);
  EXPECT_TRUE(admits());
}

TEST_F(BreakerTest, TriesOnceASecondWhileItIsOpen) {
  fail_in_a_row(5);
  clock_.advance(999ms);
  EXPECT_FALSE(admits());
  clock_.advance(1ms);
  EXPECT_TRUE(admits());
  EXPECT_FALSE(admits()) << "one at a time";
  fail();
  EXPECT_FALSE(admits());
  clock_.advance(1s);
  EXPECT_TRUE(admits());
  succeed();
  EXPECT_FALSE(breaker_.is_open());
  EXPECT_TRUE(admits());
  EXPECT_TRUE(admits());
}

TEST_F(BreakerTest, OpensAfterTwoSecondsWithoutAnAnswer) {
  EXPECT_TRUE(admits());
  clock_.advance(1999ms);
  EXPECT_TRUE(admits());
  clock_.advance(1ms);
  EXPECT_FALSE(admits());
  EXPECT_TRUE(breaker_.is_open());
}

TEST_F(BreakerTest, CountsTheSilenceFromTheLastAnswer) {
  EXPECT_TRUE(admits());
  EXPECT_TRUE(admits());
  clock_.advance(1500ms);
  succeed();
  clock_.advance(1500ms);
  EXPECT_TRUE(admits());
  clock_.advance(500ms);
  EXPECT_FALSE(admits());
}

TEST_F(BreakerTest, OneRequestAfterTheOtherThatTimesOutIsSilence) {
  EXPECT_TRUE(admits());
  clock_.advance(1s);
  fail();
  EXPECT_TRUE(admits());
  clock_.advance(1s);
  fail();
  EXPECT_FALSE(admits());
}

TEST_F(BreakerTest, ATimeInWhichNobodyAsksIsNoSilence) {
  EXPECT_TRUE(admits());
  clock_.advance(1s);
  fail();
  clock_.advance(10min);
  EXPECT_TRUE(admits());
  fail();
  EXPECT_TRUE(admits());
}

}  // namespace
}  // namespace tidemark::bus
