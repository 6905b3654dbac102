#include "stream/replay_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace tidemark::stream {
namespace {

PlannedReplay plan(const ReplayCandidate& one, ReplayLimits limits = {}) { return plan_replay({one}, limits)[0]; }

TEST(ReplayPlan, SendsWhatIsAfterTheCursor) {
  const auto planned = plan({.cursor = 3, .head = 10});
  EXPECT_EQ(planned.position, 3);
  EXPECT_EQ(planned.entries, 7);
  EXPECT_FALSE(planned.has_gap);
}

TEST(ReplayPlan, SendsNothingAtTheHead) {
  const auto planned = plan({.cursor = 10, .head = 10});
  EXPECT_EQ(planned.position, 10);
  EXPECT_EQ(planned.entries, 0);
  EXPECT_FALSE(planned.has_gap);
}

TEST(ReplayPlan, TakesACursorBeyondTheHeadForTheHead) {
  const auto planned = plan({.cursor = 15, .head = 10});
  EXPECT_EQ(planned.position, 10);
  EXPECT_EQ(planned.entries, 0);
  EXPECT_FALSE(planned.has_gap);
}

TEST(ReplayPlan, BeginsWithWhatIsKeptWithoutACursorAndWithoutAGap) {
  const auto planned = plan({.floor = 4, .head = 10});
  EXPECT_EQ(planned.position, 4);
  EXPECT_EQ(planned.entries, 6);
  EXPECT_FALSE(planned.has_gap);
}

TEST(ReplayPlan, BeginsAtTheFirstEntryThatTheDeviceMayGet) {
  const auto planned = plan({.first = 7, .floor = 4, .head = 10});
  EXPECT_EQ(planned.position, 6);
  EXPECT_EQ(planned.entries, 4);
  EXPECT_FALSE(planned.has_gap);
}

TEST(ReplayPlan, AnnouncesWhatIsNoLongerKept) {
  const auto planned = plan({.cursor = 2, .floor = 5, .head = 10});
  EXPECT_EQ(planned.position, 5);
  EXPECT_EQ(planned.entries, 5);
  EXPECT_TRUE(planned.has_gap);
  EXPECT_EQ(planned.gap_after, 2);
}

TEST(ReplayPlan, SeesNoGapWhereTheCursorIsTheFloor) {
  EXPECT_FALSE(plan({.cursor = 5, .floor = 5, .head = 10}).has_gap);
  EXPECT_TRUE(plan({.cursor = 4, .floor = 5, .head = 10}).has_gap);
}

TEST(ReplayPlan, AnnouncesThatEverythingAfterTheCursorIsGone) {
  const auto planned = plan({.cursor = 2, .floor = 10, .head = 10});
  EXPECT_EQ(planned.position, 10);
  EXPECT_EQ(planned.entries, 0);
  EXPECT_TRUE(planned.has_gap);
  EXPECT_EQ(planned.gap_after, 2);
}

TEST(ReplayPlan, SendsTheNewestOfAStreamThatIsTooFarBehind) {
  const ReplayLimits limits{.per_stream = 1000, .total = 10000};
  const auto just_fits = plan({.cursor = 500, .head = 1500}, limits);
  EXPECT_EQ(just_fits.entries, 1000);
  EXPECT_FALSE(just_fits.has_gap);
  const auto one_past = plan({.cursor = 499, .head = 1500}, limits);
  EXPECT_EQ(one_past.position, 500);
  EXPECT_EQ(one_past.entries, 1000);
  EXPECT_TRUE(one_past.has_gap);
  EXPECT_EQ(one_past.gap_after, 499);
}

TEST(ReplayPlan, AnnouncesWhatALimitLeavesOutAlsoWithoutACursor) {
  const auto planned = plan({.floor = 10, .head = 2000}, {.per_stream = 1000, .total = 10000});
  EXPECT_EQ(planned.position, 1000);
  EXPECT_TRUE(planned.has_gap);
  EXPECT_EQ(planned.gap_after, 10);
}

TEST(ReplayPlan, GivesTheFirstCandidatesTheTotal) {
  const std::vector<ReplayCandidate> candidates = {{.head = 8}, {.head = 5}, {.head = 5}, {.cursor = 5, .head = 5}};
  const auto plans = plan_replay(candidates, {.per_stream = 10, .total = 10});
  EXPECT_EQ(plans[0].entries, 8);
  EXPECT_EQ(plans[1].entries, 2);
  EXPECT_EQ(plans[1].position, 3);
  EXPECT_TRUE(plans[1].has_gap);
  EXPECT_EQ(plans[1].gap_after, 0);
  EXPECT_EQ(plans[2].entries, 0);
  EXPECT_EQ(plans[2].position, 5);
  EXPECT_TRUE(plans[2].has_gap);
  EXPECT_FALSE(plans[3].has_gap);
}

TEST(ReplayPlan, HandlesEmptyStreamsAndNoStreams) {
  EXPECT_TRUE(plan_replay({}, {}).empty());
  const auto planned = plan({.first = 1, .head = 0});
  EXPECT_EQ(planned.position, 0);
  EXPECT_EQ(planned.entries, 0);
  EXPECT_FALSE(planned.has_gap);
}

// Whatever the numbers: position and entries add up to the head, limits hold, and what is left out is announced.
TEST(ReplayPlan, HoldsItsPromisesForAnyCandidates) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto up_to = [&](int64_t bound) { return static_cast<int64_t>(random() % static_cast<uint64_t>(bound + 1)); };
  for (int round = 0; round < 2000; ++round) {
    const ReplayLimits limits{.per_stream = up_to(8), .total = up_to(20)};
    std::vector<ReplayCandidate> candidates;
    for (int i = 0; i < 4; ++i) {
      ReplayCandidate one;
      one.head = up_to(20);
      one.floor = up_to(one.head);
      one.first = 1 + up_to(one.head);
      if (up_to(3) > 0) {
        one.cursor = up_to(22);
      }
      candidates.push_back(one);
    }
    const auto plans = plan_replay(candidates, limits);
    int64_t total = 0;
    for (size_t i = 0; i < plans.size(); ++i) {
      const ReplayCandidate& one = candidates[i];
      EXPECT_EQ(plans[i].position + plans[i].entries, one.head);
      EXPECT_GE(plans[i].entries, 0);
      EXPECT_LE(plans[i].entries, limits.per_stream);
      EXPECT_GE(plans[i].position, std::max(one.floor, one.first - 1));
      if (one.cursor) {
        EXPECT_GE(plans[i].position, std::min(*one.cursor, one.head));
        EXPECT_EQ(plans[i].has_gap, plans[i].position > *one.cursor);
      }
      if (plans[i].has_gap) {
        EXPECT_LT(plans[i].gap_after, plans[i].position);
      }
      total += plans[i].entries;
    }
    EXPECT_LE(total, limits.total);
  }
}

}  // namespace
}  // namespace tidemark::stream
