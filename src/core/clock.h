// Time as an argument. Tests step a ManualClock; the program reads the system's clocks.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace tidemark {

// Monotonic time, for everything that waits. Wall-clock time is for people and for token claims only.
using Instant = std::chrono::time_point<std::chrono::steady_clock, std::chrono::nanoseconds>;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Instant now() const = 0;
  virtual int64_t unix_ms() const = 0;  // Unix time in milliseconds
};

class SystemClock final : public Clock {
 public:
  Instant now() const override { return std::chrono::steady_clock::now(); }
  int64_t unix_ms() const override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
};

class ManualClock final : public Clock {
 public:
  Instant now() const override { return Instant(std::chrono::milliseconds(ms_.load())); }
  int64_t unix_ms() const override { return start_ms_ + ms_.load(); }
  void advance(std::chrono::milliseconds by) { ms_ += by.count(); }

 private:
  static constexpr int64_t start_ms_ = 1'700'000'000'000;
  std::atomic<int64_t> ms_{0};
};

}  // namespace tidemark
