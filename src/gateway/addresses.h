// Addresses: how many connections each client address has on this node.
//
// Any worker may call; an address is counted on the worker that its hash names. Bounded by the connections there are:
// an address without one is forgotten.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "core/worker.h"

namespace tidemark::gateway {

class Addresses {
 public:
  explicit Addresses(WorkerPool& workers) : workers_(workers), shards_(static_cast<size_t>(workers.size())) {}

  // Counts one more connection of `group` (address_group()), unless it has `most` already; 0: any number will do. Who
  // gets true calls leave() once. Continues on the calling worker.
  Task<bool> enter(std::string group, size_t most);
  void leave(std::string group);

 private:
  using Shard = std::unordered_map<std::string, size_t>;

  Worker& owner_of(const std::string& group) { return workers_.owner_of(std::hash<std::string>{}(group)); }
  Shard& here() { return shards_[static_cast<size_t>(Worker::current()->index())]; }

  WorkerPool& workers_;
  std::vector<Shard> shards_;  // one per worker, touched only by it
};

}  // namespace tidemark::gateway
