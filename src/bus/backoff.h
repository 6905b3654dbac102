// Backoff: how long to wait before the next try to connect. Exponential with full jitter (Brooker, "Exponential Backoff
// And Jitter", AWS Architecture Blog, 2015): many nodes that lost the same server do not come back in one wave.
//
// Owner: whoever connects.
#pragma once

#include <algorithm>
#include <chrono>

#include "core/random.h"

namespace tidemark::bus {

class Backoff {
 public:
  struct Options {
    std::chrono::milliseconds first{50};
    std::chrono::milliseconds most{1000};
  };

  explicit Backoff(Options options) : options_(options), bound_(options.first) {}

  // Before the next try: anything up to a bound that doubles each time, up to `most`.
  std::chrono::milliseconds next(Random& random) {
    const auto delay = std::chrono::milliseconds(random.below(static_cast<uint64_t>(bound_.count()) + 1));
    bound_ = std::min(bound_ * 2, options_.most);
    return delay;
  }
  void reset() { bound_ = options_.first; }

 private:
  const Options options_;
  std::chrono::milliseconds bound_;
};

}  // namespace tidemark::bus
