#include "gateway/strikes.h"

#include <gtest/gtest.h>

namespace tidemark::gateway {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

const Instant kStart{std::chrono::hours(1000)};

TEST(Strikes, CountsToItsLimit) {
  Strikes strikes(20, seconds(10));
  for (int i = 0; i < 19; ++i) {
    EXPECT_FALSE(strikes.note(kStart)) << i;
  }
  EXPECT_TRUE(strikes.note(kStart));
}

TEST(Strikes, ForgetsWhatIsOlderThanTheSpan) {
  Strikes strikes(3, seconds(10));
  EXPECT_FALSE(strikes.note(kStart));
  EXPECT_FALSE(strikes.note(kStart + seconds(5)));
  EXPECT_FALSE(strikes.note(kStart + seconds(10)));  // the first is ten seconds old
  EXPECT_TRUE(strikes.note(kStart + seconds(15) - nanoseconds(1)));
}

TEST(Strikes, CountsWhatIsJustWithinTheSpan) {
  Strikes strikes(2, seconds(10));
  EXPECT_FALSE(strikes.note(kStart));
  EXPECT_TRUE(strikes.note(kStart + seconds(10) - nanoseconds(1)));
}

TEST(Strikes, NeverFillsUpWhenTheyComeSlowly) {
  Strikes strikes(20, seconds(10));
  for (int i = 0; i < 1000; ++i) {
    EXPECT_FALSE(strikes.note(kStart + std::chrono::milliseconds(527) * i)) << i;  // 19 in ten seconds
  }
}

TEST(Strikes, ALimitOfOneIsReachedAtOnce) {
  Strikes strikes(1, seconds(10));
  EXPECT_TRUE(strikes.note(kStart));
}

}  // namespace
}  // namespace tidemark::gateway
