#include "rpc/call_gate.h"

#include "core/result.h"

namespace tidemark::rpc {

bool CallGate::enter() {
  // First the place, then the look at the door: whoever came in before close() is counted when close() gives up its
  // own.
  const size_t before = count_.fetch_add(1);
  if (!closed_.load() && before <= most_) {
    return true;
  }
  leave();
  return false;
}

void CallGate::leave() {
  if (count_.fetch_sub(1) == 1 && !told_.exchange(true)) {
    empty_();
  }
}

void CallGate::close(std::function<void()> empty) {
  TIDEMARK_CHECK(!closed_.load());
  empty_ = std::move(empty);
  closed_.store(true);
  leave();
}

size_t CallGate::inside() const {
  const size_t own = closed_.load() ? 0 : 1;
  const size_t all = count_.load();
  return all > own ? all - own : 0;
}

}  // namespace tidemark::rpc
