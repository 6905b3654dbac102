#include "app/bench/scenario.h"

#include <gtest/gtest.h>

namespace tidemark::app {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Instant kStart{seconds(100)};

TEST(Schedule, FillsTheWindowAndNoMore) {
  const Schedule schedule({.window = 2, .length = seconds(1)}, kStart);
  EXPECT_EQ(schedule.due(kStart, 0, 0), kStart);
  EXPECT_EQ(schedule.due(kStart + milliseconds(1), 1, 1), kStart + milliseconds(1));
  EXPECT_EQ(schedule.due(kStart, 2, 2), std::nullopt);
  EXPECT_EQ(schedule.next(2), std::nullopt);
}

TEST(Schedule, EndsAfterItsTime) {
  const Schedule schedule({.window = 1, .length = seconds(1)}, kStart);
  EXPECT_FALSE(schedule.over(kStart + milliseconds(999), 7));
  EXPECT_TRUE(schedule.over(kStart + seconds(1), 7));
  EXPECT_EQ(schedule.due(kStart + seconds(1), 7, 0), std::nullopt);
}

TEST(Schedule, EndsAfterItsMessages) {
  const Schedule schedule({.window = 1, .messages = 3}, kStart);
  EXPECT_TRUE(schedule.due(kStart + seconds(1000), 2, 0).has_value());
  EXPECT_TRUE(schedule.over(kStart, 3));
}

TEST(Schedule, KeepsThePlannedTimeOfAMessageThatIsLate) {
  const Schedule schedule({.rate = 10, .length = seconds(1)}, kStart);
  EXPECT_EQ(schedule.due(kStart + milliseconds(199), 2, 0), std::nullopt);
  EXPECT_EQ(schedule.due(kStart + milliseconds(750), 2, 50), kStart + milliseconds(200));
  EXPECT_EQ(schedule.next(3), kStart + milliseconds(300));
}

TEST(Schedule, SendsWhatItsTimeHasRoomForEvenLate) {
  const Schedule schedule({.rate = 10, .length = seconds(1)}, kStart);
  EXPECT_FALSE(schedule.over(kStart + seconds(5), 9));
  EXPECT_TRUE(schedule.over(kStart, 10));
}

TEST(Watchdog, BitesWhenNothingMoved) {
  Watchdog watchdog(kStart);
  EXPECT_FALSE(watchdog.stuck(kStart + seconds(10), 5));
  EXPECT_FALSE(watchdog.stuck(kStart + seconds(20), 5));
  EXPECT_TRUE(watchdog.stuck(kStart + seconds(20) + milliseconds(1), 5));
  EXPECT_FALSE(watchdog.stuck(kStart + seconds(21), 6));
}

TEST(ShareOf, CoversEverythingOnce) {
  size_t next = 0;
  for (size_t thread = 0; thread < 7; ++thread) {
    const Share share = share_of(100, 7, thread);
    EXPECT_EQ(share.first, next);
    next += share.count;
  }
  EXPECT_EQ(next, 100U);
}

}  // namespace
}  // namespace tidemark::app
