#include "app/bench/sequence_check.h"

#include <gtest/gtest.h>

namespace tidemark::app {
namespace {

Violations after(std::initializer_list<uint64_t> arrivals, uint64_t sent) {
  SequenceCheck check;
  for (const uint64_t number : arrivals) {
    check.arrived(number);
  }
  return check.violations(sent);
}

TEST(SequenceCheck, FindsNothingWrongWithAnUnbrokenSequence) {
  EXPECT_EQ(after({0, 1, 2, 3}, 4), Violations{});
  EXPECT_EQ(after({}, 0), Violations{});
}

TEST(SequenceCheck, CountsWhatNeverArrived) {
  EXPECT_EQ(after({}, 3), (Violations{.lost = 3}));
  EXPECT_EQ(after({0, 3, 4}, 6), (Violations{.lost = 3}));
}

TEST(SequenceCheck, CountsWhatCameTwice) {
  EXPECT_EQ(after({0, 0, 1, 0}, 2), (Violations{.doubled = 2}));
  EXPECT_EQ(after({0, 2, 1, 1}, 3), (Violations{.doubled = 1, .out_of_order = 1}));
}

TEST(SequenceCheck, CountsALateArrivalAsOutOfOrderAndNotAsLost) {
  EXPECT_EQ(after({1, 0, 2}, 3), (Violations{.out_of_order = 1}));
  EXPECT_EQ(after({2, 1, 0}, 3), (Violations{.out_of_order = 2}));
}

TEST(SequenceCheck, TellsFirstArrivals) {
  SequenceCheck check;
  EXPECT_TRUE(check.arrived(0));
  EXPECT_FALSE(check.arrived(0));
  EXPECT_TRUE(check.arrived(2));
  EXPECT_TRUE(check.arrived(1));
  EXPECT_FALSE(check.arrived(1));
  EXPECT_EQ(check.next(), 3U);
}

}  // namespace
}  // namespace tidemark::app
