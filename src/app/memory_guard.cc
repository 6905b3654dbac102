#include "app/memory_guard.h"

#include "core/log.h"

namespace tidemark::app {
namespace {

constexpr auto kEvery = std::chrono::seconds(1);
constexpr auto kTrimEvery = std::chrono::seconds(10);
constexpr auto kShedEvery = std::chrono::seconds(3);

}  // namespace

MemoryGuard::MemoryGuard(Worker& worker, size_t limit, Actions actions, MetricRegistry& metrics)
    : worker_(worker),
      limit_(limit),
      actions_(std::move(actions)),
      short_gauge_(metrics.gauge("tidemark_memory_short", "1 while memory is above limits.memory and load is shed.")),
      timer_([](void* context) {
        auto& guard = *static_cast<MemoryGuard*>(context);
        guard.check(guard.worker_.now());
        guard.arm();
      }, this) {}

void MemoryGuard::start() {
  worker_.post([this] { arm(); });
}

void MemoryGuard::arm() { worker_.arm(timer_, kEvery); }

void MemoryGuard::check(Instant now) {
  const size_t limit = *limit_;
  size_t used = actions_.measure();
  if (used > limit && (trimmed_ == Instant{} || now - trimmed_ >= kTrimEvery)) {
    trimmed_ = now;
    actions_.trim();
    used = actions_.measure();
  }
  const bool is_short = used > (short_ ? limit - limit / 20 : limit);
  if (is_short != short_) {
    short_ = is_short;
    short_gauge_.set(is_short);
    log_warn(is_short ? "node.memory_short" : "node.memory_enough", {{"used_bytes", used}, {"limit_bytes", limit}});
    actions_.refuse_newcomers(is_short);
  }
  if (used > limit && (shed_ == Instant{} || now - shed_ >= kShedEvery)) {
    shed_ = now;
    actions_.shed(used - limit);
  }
}

}  // namespace tidemark::app
