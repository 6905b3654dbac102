// Breaker: whether asking a backend is worth it. After some failures in a row, or some time without any answer, it
// refuses at once, and lets one request through from time to time to see whether the backend is back.
//
// Pure: takes the time, returns a verdict. Owner: whoever asks. Every request that was admitted ends in exactly one of
// succeeded() and failed().
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "core/clock.h"

namespace tidemark::bus {

class Breaker {
 public:
  struct Options {
    int failures = 5;                                            // in a row
    std::chrono::nanoseconds silence = std::chrono::seconds(2);  // with requests under way
    std::chrono::nanoseconds retry = std::chrono::seconds(1);    // between two tries while it is open
  };

  explicit Breaker(Options options) : options_(options) {}

  // False: do not ask now.
  bool admits(Instant now) {
    if (under_way_ == 0 && last_failure_ && now - *last_failure_ >= options_.silence) {
      silent_since_.reset();  // nobody asked: that nothing came says nothing
    }
    if (!open_ && silent_since_ && now - *silent_since_ >= options_.silence) {
      open(now);
    }
    if (open_) {
      if (now < next_try_) {
        return false;
      }
      next_try_ = now + options_.retry;
    }
    ++under_way_;
    if (!silent_since_) {
      silent_since_ = now;
    }
    return true;
  }

  // The backend answered, whatever it said.
  void succeeded(Instant now) {
    --under_way_;
    failures_ = 0;
    open_ = false;
    last_failure_.reset();
    silent_since_ = under_way_ > 0 ? std::optional(now) : std::nullopt;
  }

  // No answer came.
  void failed(Instant now) {
    --under_way_;
    ++failures_;
    last_failure_ = now;
    if (!open_ && (failures_ >= options_.failures || (silent_since_ && now - *silent_since_ >= options_.silence))) {
      open(now);
    }
  }

  bool is_open() const { return open_; }

 private:
  void open(Instant now) {
    open_ = true;
    next_try_ = now + options_.retry;
  }

  const Options options_;
  bool open_ = false;
  int failures_ = 0;
  int under_way_ = 0;
  std::optional<Instant> silent_since_;  // the first request after the last answer
  std::optional<Instant> last_failure_;
  Instant next_try_{};
};

}  // namespace tidemark::bus
