#include "core/timing_wheel.h"

#include <algorithm>
#include <bit>
#include <type_traits>

#include "core/result.h"

namespace tidemark {

// Invariants, between two calls:
// 1. Every armed timer has tick > tick_.
// 2. A timer on level 0 to 3 shares all digits (6 bits each) above its level with tick_, and its digit on its level is
//    greater than tick_'s. So all timers of a level are due before any timer of the level above.
// 3. The top level is a ring: the slot of tick_'s own digit is empty, the others are 1 to 63 slots ahead. A timer that
//    is farther away waits in the farthest slot and is placed again when its slot is reached.
// 4. A bit of occupied_ is set exactly when its slot's list is not empty.

namespace {

using Ticks = uint64_t;
constexpr Ticks kTickCount = static_cast<Ticks>(TimingWheel::kTick.count());

template <class Link>
void make_empty(Link& head) {
  head.previous = head.next = &head;
}

}  // namespace

Timer::~Timer() {
  if (wheel_ != nullptr) {
    wheel_->cancel(*this);
  }
}

TimingWheel::TimingWheel(Instant now) : start_(now) {
  // Lets a Timer be found from its first member (pointer-interconvertible, [basic.compound]).
  static_assert(std::is_standard_layout_v<Timer>);
  for (auto& level : slots_) {
    std::for_each(level.begin(), level.end(), make_empty<Timer::Link>);
  }
  make_empty(firing_);
}

TimingWheel::~TimingWheel() {
  for (auto& level : slots_) {
    for (Timer::Link& head : level) {
      while (head.next != &head) {
        cancel(*reinterpret_cast<Timer*>(head.next));
      }
    }
  }
}

// Subtracts without sign, so that no pair of instants overflows.
uint64_t TimingWheel::ticks_until(Instant time, bool round_up) const {
  if (time <= start_) {
    return 0;
  }
  const auto elapsed =
      static_cast<Ticks>(time.time_since_epoch().count()) - static_cast<Ticks>(start_.time_since_epoch().count());
  return elapsed / kTickCount + (round_up && elapsed % kTickCount != 0 ? 1 : 0);
}

void TimingWheel::arm(Timer& timer, Instant deadline) {
  if (timer.wheel_ != nullptr) {
    timer.wheel_->cancel(timer);
  }
  // After target_, not only after tick_: what a callback arms is left to a later advance().
  timer.tick_ = std::max(ticks_until(deadline, true), target_ + 1);
  timer.wheel_ = this;
  ++size_;
  place(timer);
}

void TimingWheel::cancel(Timer& timer) {
  if (timer.wheel_ == nullptr) {
    return;
  }
  TIDEMARK_CHECK(timer.wheel_ == this);
  unlink(timer);
  timer.wheel_ = nullptr;
  --size_;
}

// Links the timer into the slot for its tick, seen from tick_. Also takes tick == tick_: advance() fires that next.
void TimingWheel::place(Timer& timer) {
  const Ticks tick = timer.tick_;
  const Ticks differing = tick ^ tick_;
  constexpr int kTop = kLevels - 1;
  const int highest_bit = differing == 0 ? 0 : 63 - std::countl_zero(differing);
  const int level = std::min(highest_bit / kSlotBits, kTop);
  Ticks digit = tick >> (level * kSlotBits);
  if (level == kTop) {
    digit = std::min(digit, (tick_ >> (kTop * kSlotBits)) + kSlots - 1);
  }
  const int slot = static_cast<int>(digit % kSlots);

  timer.place_ = static_cast<uint16_t>(level * kSlots + slot);
  Timer::Link& head = slots_[level][slot];
  timer.link_ = {head.previous, &head};
  head.previous->next = &timer.link_;
  head.previous = &timer.link_;
  occupied_[level] |= uint64_t{1} << slot;
}

void TimingWheel::unlink(Timer& timer) {
  timer.link_.previous->next = timer.link_.next;
  timer.link_.next->previous = timer.link_.previous;
  if (timer.place_ != kFiring && timer.link_.next == timer.link_.previous) {  // only the head is left
    occupied_[timer.place_ / kSlots] &= ~(uint64_t{1} << (timer.place_ % kSlots));
  }
}

std::optional<TimingWheel::Occupied> TimingWheel::next_occupied() const {
  for (int level = 0; level < kLevels; ++level) {
    if (occupied_[level] == 0) {
      continue;
    }
    const int shift = level * kSlotBits;
    const Ticks digits = tick_ >> shift;
    const int own = static_cast<int>(digits % kSlots);
    const int ahead = std::countr_zero(std::rotr(occupied_[level], own));
    return Occupied{level, (own + ahead) % kSlots, (digits + ahead) << shift};
  }
  return std::nullopt;
}

// Moves the slot's timers to `list`.
void TimingWheel::take(int level, int slot, Timer::Link& list) {
  Timer::Link& head = slots_[level][slot];
  list = head;
  list.next->previous = list.previous->next = &list;
  make_empty(head);
  occupied_[level] &= ~(uint64_t{1} << slot);
}

void TimingWheel::fire_slot(int slot) {
  take(0, slot, firing_);
  for (Timer::Link* link = firing_.next; link != &firing_; link = link->next) {
    reinterpret_cast<Timer*>(link)->place_ = kFiring;
  }
  // A callback may unlink any of them, so each round looks at the list anew.
  while (firing_.next != &firing_) {
    Timer& timer = *reinterpret_cast<Timer*>(firing_.next);
    const Timer::Fire fire = timer.fire_;
    void* const context = timer.context_;
    cancel(timer);
    fire(context);  // the timer may be gone after this
  }
}

void TimingWheel::advance(Instant now) {
  TIDEMARK_CHECK(!advancing_);
  const Ticks target = ticks_until(now, false);
  if (target <= tick_) {
    return;
  }
  advancing_ = true;
  target_ = target;
  while (const auto occupied = next_occupied()) {
    if (occupied->tick > target) {
      break;
    }
    tick_ = occupied->tick;
    if (occupied->level == 0) {
      fire_slot(occupied->slot);
      continue;
    }
    Timer::Link moving;
    take(occupied->level, occupied->slot, moving);
    for (Timer::Link* link = moving.next; link != &moving;) {
      Timer& timer = *reinterpret_cast<Timer*>(link);
      link = link->next;
      place(timer);
    }
  }
  tick_ = target;
  advancing_ = false;
}

std::optional<Instant> TimingWheel::next() const {
  Ticks tick = tick_;
  if (firing_.next == &firing_) {
    const auto occupied = next_occupied();
    if (!occupied) {
      return std::nullopt;
    }
    tick = occupied->tick;
  }
  return start_ + std::chrono::nanoseconds(tick * kTickCount);
}

}  // namespace tidemark
