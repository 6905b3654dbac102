#include "core/memory.h"

#include <malloc.h>

#include <atomic>
#include <chrono>

namespace tidemark {

void release_unused_memory() {
  using Clock = std::chrono::steady_clock;
  static std::atomic<Clock::rep> last{0};
  const Clock::rep now = Clock::now().time_since_epoch().count();
  Clock::rep before = last.load();
  const auto apart = Clock::duration(now - before);
  if ((before != 0 && apart < std::chrono::seconds(10)) || !last.compare_exchange_strong(before, now)) {
    return;
  }
  malloc_trim(0);
}

}  // namespace tidemark
