// MemoryGuard: looks at the process's memory once a second, and says when there is too much of it and when no more.
//
// Owner: worker 0. start() when the workers run; destroyed when they have stopped.
// Above the limit it first gives back what the allocator only keeps. If that does not do, newcomers are refused until
// the memory is 5 % below the limit again, and every three seconds (a closed connection keeps its queue for two) it asks
// to shed what is too much.
#pragma once

#include <functional>

#include "core/clock.h"
#include "core/live.h"
#include "core/metrics.h"
#include "core/worker.h"

namespace tidemark::app {

class MemoryGuard {
 public:
  struct Actions {
    std::function<size_t()> measure;              // bytes in use
    std::function<void()> trim;                   // gives back free memory
    std::function<void(bool)> refuse_newcomers;   // when it changes
    std::function<void(size_t bytes)> shed;
  };

  MemoryGuard(Worker& worker, size_t limit, Actions actions, MetricRegistry& metrics);

  void start();
  void set_limit(size_t limit) { limit_.replace(limit); }  // from one thread
  // One look. The timer calls it.
  void check(Instant now);

 private:
  void arm();

  Worker& worker_;
  Live<size_t> limit_;
  const Actions actions_;
  Gauge& short_gauge_;
  Timer timer_;
  bool short_ = false;
  Instant trimmed_{};
  Instant shed_{};
};

}  // namespace tidemark::app
