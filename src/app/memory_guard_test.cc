#include "app/memory_guard.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/worker_fixture.h"

namespace tidemark::app {
namespace {

using std::chrono::seconds;

class MemoryGuardTest : public testing::Test {
 protected:
  // One look, `later` after the last one, with so much memory in use.
  std::vector<std::string> look(size_t used, seconds later = seconds(1)) {
    used_ = used;
    clock_.advance(later);
    done_.clear();
    guard_.check(clock_.now());
    return done_;
  }

  using Done = std::vector<std::string>;

  ManualClock clock_;
  MetricRegistry metrics_;
  WorkerPool workers_{1, clock_};
  size_t used_ = 0;
  size_t after_trim_ = SIZE_MAX;
  Done done_;
  MemoryGuard guard_{workers_.at(0), 1000,
                     {[this] { return used_; },
                      [this] {
                        done_.emplace_back("trim");
                        used_ = std::min(used_, after_trim_);
                      },
                      [this](bool refuse) { done_.emplace_back(refuse ? "refuse" : "admit"); },
                      [this](size_t bytes) { done_.push_back("shed " + std::to_string(bytes)); }},
                     metrics_};
};

TEST_F(MemoryGuardTest, DoesNothingUpToTheLimit) {
  EXPECT_EQ(look(0), Done());
  EXPECT_EQ(look(1000), Done());
}

TEST_F(MemoryGuardTest, TrimsFirstAndThatMayDo) {
  after_trim_ = 900;
  EXPECT_EQ(look(1001), Done{"trim"});
}

TEST_F(MemoryGuardTest, RefusesAndShedsAboveTheLimit) {
  EXPECT_EQ(look(1100), (Done{"trim", "refuse", "shed 100"}));
  EXPECT_EQ(look(1100), Done()) << "what was shed takes a moment";
  EXPECT_EQ(look(1200, seconds(2)), Done{"shed 200"});
  EXPECT_EQ(look(1200, seconds(7)), (Done{"trim", "shed 200"}));
}

TEST_F(MemoryGuardTest, AdmitsAgainSomewhatBelowTheLimit) {
  look(1100);
  EXPECT_EQ(look(990), Done());
  EXPECT_EQ(look(950), Done{"admit"});
  EXPECT_EQ(look(990), Done());
}

TEST_F(MemoryGuardTest, AnotherLimitHoldsAtTheNextLook) {
  EXPECT_EQ(look(900), Done());
  guard_.set_limit(500);
  EXPECT_EQ(look(900), (Done{"trim", "refuse", "shed 400"}));
}

}  // namespace
}  // namespace tidemark::app
