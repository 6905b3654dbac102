// Strikes: how often something happened within a span of time; the limit is reached or not. Pure.
#pragma once

#include <chrono>
#include <deque>

#include "core/clock.h"

namespace tidemark::gateway {

// Owner: whoever made it. Holds at most `limit` times; empty until the first strike.
class Strikes {
 public:
  Strikes(size_t limit, std::chrono::nanoseconds span) : limit_(limit), span_(span) {}

  // Notes one; true when `limit` of them lie within the span.
  bool note(Instant now) {
    times_.push_back(now);
    while (now - times_.front() >= span_) {
      times_.pop_front();
    }
    return times_.size() >= limit_;
  }

 private:
  const size_t limit_;
  const std::chrono::nanoseconds span_;
  std::deque<Instant> times_;
};

}  // namespace tidemark::gateway
