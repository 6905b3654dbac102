// TimingWheel: deadlines of very many objects, most of which are cancelled or moved before they are reached.
//
// A hierarchical hashed timing wheel (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", SOSP 1987, scheme
// 7): 5 levels of 64 slots, tick 8 ms. arm() and cancel() cost a few pointer writes and never allocate; a timer moves
// down at most four times, plus once per 99 days. Level 0 has a slot per tick, each slot of a higher level spans one
// turn of the level below. One 64-bit mask per level says which slots hold timers, so empty time is skipped, not walked.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/clock.h"

namespace tidemark {

class TimingWheel;

// One deadline. Lives inside the object it wakes, 48 bytes, no heap.
//
// Owner: the wheel's worker. Not copyable and not movable, because the wheel links to its address. The destructor
// cancels. A wheel that is destroyed first leaves its timers unarmed.
class Timer {
 public:
  using Fire = void (*)(void* context);

  // `fire(context)` runs inside TimingWheel::advance() with the timer already unarmed; it must not throw.
  Timer(Fire fire, void* context) : fire_(fire), context_(context) {}
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  bool armed() const { return wheel_ != nullptr; }

 private:
  friend class TimingWheel;

  // Circular list; a list's head is a Link of the wheel. Timers are reached from their first member, see TimingWheel.
  struct Link {
    Link* previous = nullptr;
    Link* next = nullptr;
  };

  Link link_;
  Fire fire_;
  void* context_;
  TimingWheel* wheel_ = nullptr;  // null: not armed
  uint64_t tick_ : 48 = 0;        // fires when the wheel's tick has reached it
  uint64_t place_ : 16 = 0;       // level * 64 + slot, or TimingWheel::kFiring
};
static_assert(sizeof(Timer) <= 48);

// Owner: one worker; not thread-safe. The worker calls advance() when next() has come.
// Promises: a timer never fires before its deadline; it fires in the first advance() whose time is a tick or more after
// the later of its deadline and its arming. Timers fire in the order of their ticks; within one tick in no order.
// Does not promise: that a timer that advance() arms from a callback fires in the same advance(): it waits for a later
// one, so that a callback which arms itself cannot hold the worker.
class TimingWheel {
 public:
  static constexpr std::chrono::nanoseconds kTick = std::chrono::milliseconds(8);

  explicit TimingWheel(Instant now);
  ~TimingWheel();
  TimingWheel(const TimingWheel&) = delete;
  TimingWheel& operator=(const TimingWheel&) = delete;

  // Arms the timer, or moves it if it is armed here or in another wheel of this worker. Any deadline will do: one in
  // the past fires at the next tick, one beyond the range (99 days) waits in the top level.
  void arm(Timer& timer, Instant deadline);
  void cancel(Timer& timer);  // nothing happens if it is not armed

  // Fires what is due. A callback may arm, cancel and destroy any timer, its own too, but may not call advance() or
  // destroy the wheel. Time that runs backwards is ignored.
  void advance(Instant now);

  // A lower bound of the time at which something is due, none if nothing is armed. The exact tick when it is in the
  // present turn of level 0; else the start of a slot, where advance() moves timers down. Outside of callbacks it is
  // after the time of the last advance(), so sleeping until it and advancing makes progress.
  std::optional<Instant> next() const;

  size_t size() const { return size_; }

 private:
  friend class Timer;

  static constexpr int kLevels = 5;
  static constexpr int kSlotBits = 6;
  static constexpr int kSlots = 1 << kSlotBits;
  static constexpr uint16_t kFiring = kLevels * kSlots;  // the place of a timer whose slot is being fired

  // The occupied slot that comes next, and the tick at which it starts.
  struct Occupied {
    int level;
    int slot;
    uint64_t tick;
  };

  uint64_t ticks_until(Instant time, bool round_up) const;
  std::optional<Occupied> next_occupied() const;
  void place(Timer& timer);
  void unlink(Timer& timer);
  void take(int level, int slot, Timer::Link& list);
  void fire_slot(int slot);

  Instant start_;
  uint64_t tick_ = 0;    // everything up to here has fired
  uint64_t target_ = 0;  // the tick that the running advance() goes to; equal to tick_ outside of it
  bool advancing_ = false;
  size_t size_ = 0;
  std::array<uint64_t, kLevels> occupied_{};
  std::array<std::array<Timer::Link, kSlots>, kLevels> slots_;
  Timer::Link firing_;
};

}  // namespace tidemark
