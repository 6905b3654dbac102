#include "gateway/addresses.h"

namespace tidemark::gateway {

Task<bool> Addresses::enter(std::string group, size_t most) {
  Worker& from = *Worker::current();
  co_await owner_of(group).enter();
  Shard& shard = here();
  const auto found = shard.find(group);
  const bool entered = most == 0 || found == shard.end() || found->second < most;
  if (entered) {
    ++(found == shard.end() ? shard[group] : found->second);
  }
  co_await from.enter();
  co_return entered;
}

void Addresses::leave(std::string group) {
  Worker& owner = owner_of(group);
  if (!owner.is_current()) {
    owner.post([this, group = std::move(group)]() mutable { leave(std::move(group)); });
    return;
  }
  Shard& shard = here();
  const auto found = shard.find(group);
  if (found != shard.end() && --found->second == 0) {
    shard.erase(found);
  }
}

}  // namespace tidemark::gateway
