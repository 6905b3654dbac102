#include "core/turnstile.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/worker_fixture.h"

namespace tidemark {
namespace {

class TurnstileTest : public testing::Test {
 protected:
  TurnstileTest() : workers_(1, clock_), turnstile_(workers_.at(0)) { workers_.start(); }

  // A visitor who stays until let_go().
  void visit(int number, size_t inside, size_t waiting) {
    run_on(workers_.at(0), [&] { spawn(stay(number, inside, waiting)); });
  }
  Task<> stay(int number, size_t inside, size_t waiting) {
    Turnstile::Pass pass = co_await turnstile_.enter(inside, waiting);
    (pass ? inside_ : refused_).push_back(number);
    passes_.push_back(std::move(pass));
  }
  void let_go(size_t count) {
    run_on(workers_.at(0), [&] { passes_.erase(passes_.begin(), passes_.begin() + static_cast<std::ptrdiff_t>(count)); });
    settle(workers_);
  }

  ManualClock clock_;
  WorkerPool workers_;
  Turnstile turnstile_;
  std::vector<Turnstile::Pass> passes_;
  std::vector<int> inside_;
  std::vector<int> refused_;
};

TEST_F(TurnstileTest, LetsSoManyInAndTheOthersInTheirOrder) {
  for (int i = 0; i < 5; ++i) {
    visit(i, 2, 10);
  }
  EXPECT_EQ(inside_, (std::vector{0, 1}));
  EXPECT_EQ(turnstile_.waiting(), 3u);
  let_go(1);
  EXPECT_EQ(inside_, (std::vector{0, 1, 2}));
  let_go(2);
  EXPECT_EQ(inside_, (std::vector{0, 1, 2, 3, 4}));
  let_go(2);
  EXPECT_EQ(turnstile_.inside(), 0u);
}

TEST_F(TurnstileTest, TurnsAwayWhoFindsTooManyWaiting) {
  for (int i = 0; i < 4; ++i) {
    visit(i, 1, 2);
  }
  EXPECT_EQ(refused_, (std::vector{3}));
  let_go(1);
  EXPECT_EQ(turnstile_.waiting(), 1u) << "the one that was turned away holds nothing";
  let_go(passes_.size());
  let_go(passes_.size());
  EXPECT_EQ(inside_, (std::vector{0, 1, 2}));
}

TEST_F(TurnstileTest, NewcomersDoNotOvertakeThoseWhoWait) {
  visit(0, 1, 10);
  visit(1, 1, 10);
  visit(2, 2, 10);
  EXPECT_EQ(inside_, (std::vector{0}));
  let_go(1);
  EXPECT_EQ(inside_, (std::vector{0, 1, 2})) << "the limit was raised: two may come in";
  let_go(2);
}

TEST_F(TurnstileTest, CloseTurnsEverybodyAway) {
  visit(0, 1, 10);
  visit(1, 1, 10);
  run_on(workers_.at(0), [&] { turnstile_.close(); });
  settle(workers_);
  visit(2, 1, 10);
  EXPECT_EQ(refused_, (std::vector{1, 2}));
  let_go(passes_.size());
}

}  // namespace
}  // namespace tidemark
