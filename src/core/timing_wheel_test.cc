#include "core/timing_wheel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <vector>

namespace tidemark {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using testing::ElementsAre;
using testing::IsEmpty;

const Instant kStart{hours(1000)};

// A timer with any function.
struct Alarm {
  explicit Alarm(std::function<void()> call) : on_fire(std::move(call)), timer(&fired, this) {}
  static void fired(void* context) {
    const auto call = static_cast<Alarm*>(context)->on_fire;  // a copy: the alarm may destroy itself
    call();
  }
  std::function<void()> on_fire;
  Timer timer;
};

TEST(TimingWheel, FiresAtTheTickAfterTheDeadlineAndNotBefore) {
  TimingWheel wheel(kStart);
  int fired = 0;
  Alarm alarm([&] { ++fired; });
  wheel.arm(alarm.timer, kStart + milliseconds(17));
  EXPECT_TRUE(alarm.timer.armed());
  wheel.advance(kStart + milliseconds(24) - nanoseconds(1));
  EXPECT_EQ(fired, 0);
  wheel.advance(kStart + milliseconds(24));
  EXPECT_EQ(fired, 1);
  EXPECT_FALSE(alarm.timer.armed());
  EXPECT_EQ(wheel.size(), 0u);
  wheel.advance(kStart + hours(1));
  EXPECT_EQ(fired, 1);
}

TEST(TimingWheel, FiresADeadlineInThePastAtTheNextTick) {
  TimingWheel wheel(kStart);
  int fired = 0;
  Alarm alarm([&] { ++fired; });
  wheel.advance(kStart + milliseconds(100));
  wheel.arm(alarm.timer, Instant::min());
  EXPECT_EQ(wheel.next(), kStart + milliseconds(104));
  wheel.advance(kStart + milliseconds(104));
  EXPECT_EQ(fired, 1);
}

TEST(TimingWheel, FiresInTheOrderOfDeadlines) {
  TimingWheel wheel(kStart);
  std::vector<int64_t> fired;
  std::vector<std::unique_ptr<Alarm>> alarms;
  for (const int64_t ms : {900'000'000, 8, 5'000, 600, 40'000'000, 504, 512, 520, 33'000}) {
    alarms.push_back(std::make_unique<Alarm>([&fired, ms] { fired.push_back(ms); }));
    wheel.arm(alarms.back()->timer, kStart + milliseconds(ms));
  }
  wheel.advance(kStart + hours(1000));
  EXPECT_THAT(fired, ElementsAre(8, 504, 512, 520, 600, 5'000, 33'000, 40'000'000, 900'000'000));
}

TEST(TimingWheel, CancelledAndDestroyedTimersDoNotFire) {
  TimingWheel wheel(kStart);
  int fired = 0;
  Alarm cancelled([&] { ++fired; });
  wheel.arm(cancelled.timer, kStart + milliseconds(50));
  {
    Alarm destroyed([&] { ++fired; });
    wheel.arm(destroyed.timer, kStart + milliseconds(50));
    EXPECT_EQ(wheel.size(), 2u);
  }
  EXPECT_EQ(wheel.size(), 1u);
  wheel.cancel(cancelled.timer);
  wheel.cancel(cancelled.timer);
  EXPECT_EQ(wheel.size(), 0u);
  EXPECT_EQ(wheel.next(), std::nullopt);
  wheel.advance(kStart + hours(1));
  EXPECT_EQ(fired, 0);
}

TEST(TimingWheel, ArmingAgainMovesTheDeadline) {
  TimingWheel wheel(kStart);
  int fired = 0;
  Alarm alarm([&] { ++fired; });
  wheel.arm(alarm.timer, kStart + milliseconds(50));
  wheel.arm(alarm.timer, kStart + milliseconds(5'000));
  EXPECT_EQ(wheel.size(), 1u);
  wheel.advance(kStart + milliseconds(4'999));
  EXPECT_EQ(fired, 0);
  wheel.arm(alarm.timer, kStart + milliseconds(5'010));
  wheel.arm(alarm.timer, kStart + milliseconds(5'001));
  wheel.advance(kStart + milliseconds(5'008));
  EXPECT_EQ(fired, 1);
}

TEST(TimingWheel, MovesATimerFromAnotherWheel) {
  TimingWheel first(kStart);
  TimingWheel second(kStart);
  int fired = 0;
  Alarm alarm([&] { ++fired; });
  first.arm(alarm.timer, kStart + milliseconds(50));
  second.arm(alarm.timer, kStart + milliseconds(50));
  EXPECT_EQ(first.size(), 0u);
  first.advance(kStart + hours(1));
  EXPECT_EQ(fired, 0);
  second.advance(kStart + hours(1));
  EXPECT_EQ(fired, 1);
}

TEST(TimingWheel, TimersOutliveTheirWheel) {
  int fired = 0;
  Alarm alarm([&] { ++fired; });
  {
    TimingWheel wheel(kStart);
    wheel.arm(alarm.timer, kStart + hours(5));
  }
  EXPECT_FALSE(alarm.timer.armed());
  EXPECT_EQ(fired, 0);
}

TEST(TimingWheel, ACallbackThatArmsItselfRunsOncePerAdvance) {
  TimingWheel wheel(kStart);
  int fired = 0;
  std::optional<Alarm> alarm;
  alarm.emplace([&] {
    ++fired;
    wheel.arm(alarm->timer, Instant::min());
  });
  wheel.arm(alarm->timer, kStart);
  for (int round = 1; round <= 3; ++round) {
    wheel.advance(kStart + hours(round));
    EXPECT_EQ(fired, round);
    EXPECT_EQ(wheel.next(), kStart + hours(round) + TimingWheel::kTick);
  }
}

TEST(TimingWheel, ACallbackMayCancelMoveAndDestroyOthersAndItself) {
  TimingWheel wheel(kStart);
  std::vector<char> fired;
  std::map<char, std::unique_ptr<Alarm>> alarms;
  // All in one slot. Whichever is first cancels, moves and destroys the others and then itself.
  for (const char name : {'a', 'b', 'c', 'd'}) {
    alarms[name] = std::make_unique<Alarm>([&, name] {
      fired.push_back(name);
      if (fired.size() > 1) {
        return;
      }
      EXPECT_TRUE(wheel.next().has_value());  // others of the slot are still to come
      std::vector<char> others;
      for (const auto& [other, alarm] : alarms) {
        if (other != name) {
          others.push_back(other);
        }
      }
      wheel.cancel(alarms[others[0]]->timer);
      wheel.arm(alarms[others[1]]->timer, kStart + milliseconds(400));
      alarms.erase(others[2]);
      alarms.erase(name);
    });
    wheel.arm(alarms[name]->timer, kStart + milliseconds(100));
  }
  wheel.advance(kStart + milliseconds(300));
  EXPECT_EQ(fired.size(), 1u);
  EXPECT_EQ(wheel.size(), 1u);
  wheel.advance(kStart + milliseconds(400));
  EXPECT_EQ(fired.size(), 2u);
  EXPECT_EQ(alarms.size(), 2u);
  EXPECT_EQ(wheel.size(), 0u);
}

TEST(TimingWheel, ACallbackMayDestroyATimerOfALaterSlotAndOfALaterLevel) {
  TimingWheel wheel(kStart);
  int fired = 0;
  auto near = std::make_unique<Alarm>([&] { ++fired; });
  auto far = std::make_unique<Alarm>([&] { ++fired; });
  Alarm killer([&] {
    near.reset();
    far.reset();
  });
  wheel.arm(killer.timer, kStart + milliseconds(8));
  wheel.arm(near->timer, kStart + milliseconds(16));
  wheel.arm(far->timer, kStart + hours(3));
  wheel.advance(kStart + hours(10));
  EXPECT_EQ(fired, 0);
  EXPECT_EQ(wheel.size(), 0u);
}

TEST(TimingWheel, TimersBeyondTheRangeWaitAndFireOnTime) {
  TimingWheel wheel(kStart);
  std::vector<int> fired;
  Alarm year([&] { fired.push_back(1); });
  Alarm decade([&] { fired.push_back(10); });
  Alarm never([&] { fired.push_back(0); });
  wheel.arm(year.timer, kStart + hours(365 * 24));
  wheel.arm(decade.timer, kStart + hours(10 * 365 * 24));
  wheel.arm(never.timer, Instant::max());
  int wakeups = 0;
  while (wheel.size() > 1) {
    const Instant next = wheel.next().value();
    if (next >= kStart + hours(365 * 24) && fired.empty()) {
      wheel.advance(kStart + hours(365 * 24) - nanoseconds(1));
      EXPECT_THAT(fired, IsEmpty());
    }
    wheel.advance(next);
    ASSERT_LT(++wakeups, 200);
  }
  EXPECT_THAT(fired, ElementsAre(1, 10));
}

TEST(TimingWheel, SleepingUntilNextTakesAHandfulOfWakeups) {
  TimingWheel wheel(kStart);
  bool fired = false;
  Alarm alarm([&] { fired = true; });
  const Instant deadline = kStart + hours(30 * 24) + milliseconds(12'345);
  wheel.arm(alarm.timer, deadline);
  int wakeups = 0;
  Instant now = kStart;
  while (!fired) {
    const Instant next = wheel.next().value();
    ASSERT_GT(next, now);
    now = next;
    wheel.advance(now);
    ++wakeups;
  }
  EXPECT_LE(wakeups, 5);
  EXPECT_GE(now, deadline);
  EXPECT_LT(now, deadline + TimingWheel::kTick);
}

TEST(TimingWheel, IgnoresTimeThatRunsBackwards) {
  TimingWheel wheel(kStart);
  int fired = 0;
  Alarm alarm([&] { ++fired; });
  wheel.advance(kStart + hours(1));
  wheel.arm(alarm.timer, kStart + hours(1) + milliseconds(8));
  wheel.advance(kStart);
  wheel.advance(Instant::min());
  EXPECT_EQ(fired, 0);
  wheel.advance(kStart + hours(1) + milliseconds(8));
  EXPECT_EQ(fired, 1);
}

// The same random operations on the wheel and on a multimap of deadlines.
class TimingWheelModel {
 public:
  explicit TimingWheelModel(uint64_t seed) : engine_(seed), wheel_(kStart) {
    for (size_t i = 0; i < 40; ++i) {
      alarms_.push_back(std::make_unique<Alarm>([this, i] { on_fire(i); }));
    }
  }

  void run(int steps) {
    for (int step = 0; step < steps && !testing::Test::HasFailure(); ++step) {
      const uint64_t choice = below(10);
      if (choice < 5) {
        arm(below(alarms_.size()));
      } else if (choice < 7) {
        cancel(below(alarms_.size()));
      } else {
        advance();
      }
      ASSERT_EQ(wheel_.size(), model_.size());
      check_next();
    }
  }

 private:
  using Model = std::multimap<Instant, size_t>;  // by the earliest instant of firing: deadline or arming

  uint64_t below(uint64_t bound) { return engine_() % bound; }

  // Every magnitude from nanoseconds to years is as likely.
  nanoseconds any_delay() { return nanoseconds(below(uint64_t{1} << (1 + below(57)))); }

  void arm(size_t i) {
    forget(i);
    const Instant deadline = now_ + any_delay() - milliseconds(below(20));
    wheel_.arm(alarms_[i]->timer, deadline);
    model_.emplace(std::max(deadline, now_), i);
  }

  void cancel(size_t i) {
    forget(i);
    wheel_.cancel(alarms_[i]->timer);
  }

  void forget(size_t i) {
    std::erase_if(model_, [i](const auto& entry) { return entry.second == i; });
  }

  void advance() {
    const auto next = wheel_.next();
    now_ = next && below(2) == 0 ? std::max(now_, *next) : now_ + any_delay() / 4;
    last_fired_ = Instant::min();
    wheel_.advance(now_);
    if (!model_.empty()) {  // everything that is a tick late has fired
      ASSERT_GT(model_.begin()->first + TimingWheel::kTick, now_);
    }
  }

  void on_fire(size_t i) {
    const auto found = std::find_if(model_.begin(), model_.end(), [i](const auto& entry) { return entry.second == i; });
    ASSERT_NE(found, model_.end()) << "a cancelled timer fired";
    ASSERT_LE(found->first, now_) << "early";
    ASSERT_GT(found->first + TimingWheel::kTick, last_fired_) << "out of order";
    last_fired_ = std::max(last_fired_, found->first);
    model_.erase(found);
    // now_ is already the time that the running advance() goes to, which is what a caller's clock would say.
    const uint64_t choice = below(4);
    if (choice == 0) {
      arm(i);
    } else if (choice == 1) {
      arm(below(alarms_.size()));
    } else if (choice == 2) {
      const size_t other = below(alarms_.size());
      if (other != i) {
        forget(other);
        alarms_[other] = std::make_unique<Alarm>([this, other] { on_fire(other); });
      }
    }
  }

  void check_next() {
    const auto next = wheel_.next();
    ASSERT_EQ(next.has_value(), !model_.empty());
    if (next) {
      ASSERT_GT(*next, now_) << "sleeping until next() would spin";
      ASSERT_LE(*next, model_.begin()->first + TimingWheel::kTick);
    }
  }

  std::mt19937_64 engine_;
  Instant now_ = kStart;
  Instant last_fired_ = Instant::min();
  TimingWheel wheel_;
  std::vector<std::unique_ptr<Alarm>> alarms_;
  Model model_;
};

TEST(TimingWheel, AgreesWithASortedMapUnderRandomUse) {
  for (uint64_t seed = 1; seed <= 60 && !HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    TimingWheelModel(seed).run(1'000);
  }
}

}  // namespace
}  // namespace tidemark
