#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "bus/bus_fixture.h"
#include "bus/lossy_bus_fixture.h"

namespace tidemark::bus {
namespace {

constexpr int kMany = 2000;

// What comes of the numbers up to kMany.
std::vector<int> heard(uint64_t seed, LossyBus::Faults faults) {
  Heard at_b;
  Heard end;
  const auto hub = std::make_shared<LocalHub>();
  Node a("a", hub);
  Node b("b", hub);
  LossyBus lossy(a.bus(), seed, faults);
  b.subscribe("x", at_b);
  b.subscribe("end", end);
  run_on(a.worker(0), [&] {
    for (int i = 0; i < kMany; ++i) {
      lossy.publish("x", std::to_string(i));
    }
    a.bus().publish("end", "");
  });
  EXPECT_TRUE(b.hears(end, 1));
  std::vector<int> numbers;
  for (const std::string& payload : b.payloads(at_b)) {
    numbers.push_back(std::stoi(payload));
  }
  return numbers;
}

TEST(LossyBus, LosesDoublesAndReordersAboutAsManyAsItIsTold) {
  const std::vector<int> numbers = heard(1, {.dropped = 10, .doubled = 10, .delayed = 10});
  const std::set<int> different(numbers.begin(), numbers.end());
  EXPECT_NEAR(static_cast<double>(different.size()), kMany * 0.9, kMany * 0.03);
  EXPECT_NEAR(static_cast<double>(numbers.size() - different.size()), kMany * 0.09, kMany * 0.03);
  int steps_back = 0;
  for (size_t i = 1; i < numbers.size(); ++i) {
    steps_back += numbers[i] < numbers[i - 1];
  }
  EXPECT_NEAR(steps_back, kMany * 0.09, kMany * 0.04);
}

TEST(LossyBus, DoesTheSameFromTheSameSeed) {
  EXPECT_EQ(heard(2, {}), heard(2, {}));
  EXPECT_NE(heard(2, {}), heard(3, {}));
}

TEST(LossyBus, WithoutFaultsIsTheBusUnderIt) {
  const std::vector<int> numbers = heard(1, {.dropped = 0, .doubled = 0, .delayed = 0});
  EXPECT_EQ(numbers.size(), static_cast<size_t>(kMany));
  EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
}

}  // namespace
}  // namespace tidemark::bus
