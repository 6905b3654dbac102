#include "app/bench/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace tidemark::app {
namespace {

using std::chrono::nanoseconds;

TEST(Histogram, IsEmptyAtFirst) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.percentile(50), nanoseconds(0));
  EXPECT_EQ(histogram.max(), nanoseconds(0));
}

TEST(Histogram, KeepsSmallValuesExactly) {
  Histogram histogram;
  for (int i = 1; i <= 1000; ++i) {
    histogram.record(nanoseconds(i));
  }
  EXPECT_EQ(histogram.percentile(0), nanoseconds(1));
  EXPECT_EQ(histogram.percentile(50), nanoseconds(500));
  EXPECT_EQ(histogram.percentile(99), nanoseconds(990));
  EXPECT_EQ(histogram.percentile(99.9), nanoseconds(999));
  EXPECT_EQ(histogram.percentile(100), nanoseconds(1000));
}

TEST(Histogram, KeepsThreeDigitsAroundEveryPowerOfTwo) {
  for (int bit = 0; bit < 42; ++bit) {
    for (const int64_t offset : {-1, 0, 1}) {
      const int64_t value = (int64_t{1} << bit) + offset;
      Histogram histogram;
      histogram.record(nanoseconds(value));
      histogram.record(Histogram::kMax);
      const int64_t found = histogram.percentile(50).count();
      EXPECT_GE(found, value);
      EXPECT_LE(static_cast<double>(found), static_cast<double>(value) * 1.001);
    }
  }
}

TEST(Histogram, AgreesWithSortedValues) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> spread(13, 2);
  std::vector<int64_t> values(20'000);
  Histogram histogram;
  for (int64_t& value : values) {
    value = static_cast<int64_t>(spread(random));
    histogram.record(nanoseconds(value));
  }
  std::sort(values.begin(), values.end());
  for (const size_t permille : {10, 500, 900, 990, 999, 1000}) {
    const auto truth = static_cast<double>(values[values.size() * permille / 1000 - 1]);
    const auto found = static_cast<double>(histogram.percentile(static_cast<double>(permille) / 10).count());
    EXPECT_GE(found, truth) << permille;
    EXPECT_LE(found, truth * 1.001) << permille;
  }
  EXPECT_EQ(histogram.max().count(), values.back());
}

TEST(Histogram, CutsWhatIsOutOfRange) {
  Histogram histogram;
  histogram.record(nanoseconds(-5));
  EXPECT_EQ(histogram.percentile(100), nanoseconds(0));
  histogram.record(Histogram::kMax);
  histogram.record(Histogram::kMax + nanoseconds(1));
  EXPECT_EQ(histogram.percentile(100), Histogram::kMax);
  EXPECT_EQ(histogram.max(), Histogram::kMax);
  EXPECT_EQ(histogram.count(), 3U);
}

TEST(Histogram, MergesAsIfRecordedTogether) {
  Histogram one;
  Histogram other;
  for (int i = 1; i <= 100; ++i) {
    (i % 2 == 0 ? one : other).record(nanoseconds(i * 10));
  }
  one.merge(other);
  EXPECT_EQ(one.count(), 100U);
  EXPECT_EQ(one.percentile(50), nanoseconds(500));
  EXPECT_EQ(one.max(), nanoseconds(1000));
}

}  // namespace
}  // namespace tidemark::app
