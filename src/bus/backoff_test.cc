#include "bus/backoff.h"

#include <gtest/gtest.h>

namespace tidemark::bus {
namespace {

using namespace std::chrono_literals;

TEST(Backoff, FillsABoundThatDoublesUpToTheMost) {
  SeededRandom random(7);
  std::chrono::milliseconds least[7] = {1h, 1h, 1h, 1h, 1h, 1h, 1h};
  std::chrono::milliseconds most[7] = {};
  for (int round = 0; round < 2000; ++round) {
    Backoff backoff({.first = 50ms, .most = 1000ms});
    for (int i = 0; i < 7; ++i) {
      const auto delay = backoff.next(random);
      least[i] = std::min(least[i], delay);
      most[i] = std::max(most[i], delay);
    }
  }
  const std::chrono::milliseconds bounds[7] = {50ms, 100ms, 200ms, 400ms, 800ms, 1000ms, 1000ms};
  for (int i = 0; i < 7; ++i) {
    EXPECT_LE(most[i], bounds[i]);
    EXPECT_GT(most[i], bounds[i] * 9 / 10) << "full jitter goes up to the bound";
    EXPECT_LT(least[i], bounds[i] / 10) << "and down to nothing";
  }
}

TEST(Backoff, BeginsAnew) {
  SeededRandom random(7);
  Backoff backoff({.first = 1ms, .most = 1000ms});
  for (int i = 0; i < 20; ++i) {
    backoff.next(random);
  }
  backoff.reset();
  EXPECT_LE(backoff.next(random), 1ms);
}

}  // namespace
}  // namespace tidemark::bus
