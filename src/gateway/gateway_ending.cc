// How connections are ended from here: revoked tokens, too little memory, a node that drains or stops.
#include <algorithm>

#include "core/log.h"
#include "gateway/gateway_parts.h"

namespace tidemark::gateway {
namespace {

constexpr size_t kChecksPerTurn = 2000;
constexpr auto kDrainStep = std::chrono::milliseconds(20);

}  // namespace

void Gateway::drop_revoked() {
  for (const auto& one : shards_) {
    Shard* const shard = one.get();
    shard->worker.post([this, shard] {
      shard->check_again = true;
      if (!shard->checking) {
        shard->checking = true;
        revocation_step(*shard);
      }
    });
  }
}

// One round looks at every connection that is there now; newer ones look for themselves. Revocations that come while a
// round is under way share the next one, so that a hundred of them do not cost a hundred rounds.
void Gateway::revocation_step(Shard& shard) {
  if (shard.to_check.empty()) {
    if (!std::exchange(shard.check_again, false)) {
      shard.checking = false;
      return;
    }
    shard.to_check.reserve(shard.connections.size());
    for (const auto& [id, connection] : shard.connections) {
      shard.to_check.push_back(id);
    }
  }
  for (size_t i = 0; i < kChecksPerTurn && !shard.to_check.empty(); ++i) {
    const auto found = shard.connections.find(shard.to_check.back());
    shard.to_check.pop_back();
    if (found != shard.connections.end() && found->second->revoked()) {
      const std::shared_ptr<Connection> connection = found->second;
      connection->close_with(CloseCode::session_closed);
    }
  }
  if (shard.to_check.empty()) {
    std::vector<stream::OutletId>().swap(shard.to_check);
  }
  shard.worker.post([this, at = &shard] { revocation_step(*at); });
}

void Gateway::drain(std::function<void()> done) {
  drained_ = std::move(done);
  draining_.store(true);
  const double grace_s = std::chrono::duration<double>(options_.drain_grace).count();
  const double per_second = std::max(static_cast<double>(options_.drain_per_second),
                                     static_cast<double>(connections()) / std::max(grace_s, 0.001));
  const double per_step = per_second * std::chrono::duration<double>(kDrainStep).count() /
                          static_cast<double>(parts_.workers.size());
  for (const auto& one : shards_) {
    Shard* const shard = one.get();
    shard->worker.post([this, shard, per_step] {
      shard->drain_per_step = per_step;
      drain_step(*shard);
    });
  }
}

void Gateway::abandon(std::function<void()> done) {
  auto left = std::make_shared<std::atomic<int>>(parts_.workers.size());
  for (const auto& one : shards_) {
    Shard* const shard = one.get();
    shard->worker.post([this, shard, left, done] {
      shard->abandoned = true;
      shard->openings.close();
      parts_.engine.close_here();
      std::vector<std::shared_ptr<Connection>> connections;
      for (const auto& [id, connection] : shard->connections) {
        connections.push_back(connection);
      }
      for (const auto& connection : connections) {
        connection->abort();
      }
      // What a connection gives back, it gives back in posts of its own.
      shard->worker.post([left, done] {
        if (left->fetch_sub(1) == 1) {
          done();
        }
      });
    });
  }
}

void Gateway::shed(size_t bytes) {
  const size_t share = bytes / shards_.size() + 1;
  for (const auto& one : shards_) {
    Shard* const shard = one.get();
    shard->worker.post([shard, share] { shed_here(*shard, share); });
  }
}

void Gateway::shed_here(Shard& shard, size_t bytes) {
  std::vector<std::pair<size_t, stream::OutletId>> queues;
  for (const auto& [id, connection] : shard.connections) {
    if (connection->queued_bytes() > 0) {
      queues.emplace_back(connection->queued_bytes(), id);
    }
  }
  std::sort(queues.begin(), queues.end(), std::greater<>());
  size_t freed = 0;
  size_t closed = 0;
  for (const auto& [queued, id] : queues) {
    if (freed >= bytes) {
      break;
    }
    const std::shared_ptr<Connection> connection = shard.connections.at(id);
    connection->close_with(CloseCode::overloaded);
    freed += queued;
    ++closed;
  }
  if (closed > 0) {
    log_warn("gateway.shed", {{"connections", closed}, {"queued_bytes", freed}});
  }
}

void Gateway::drain_step(Shard& shard) {
  if (shard.to_drain.empty()) {
    for (const auto& [id, connection] : shard.connections) {
      shard.to_drain.push_back(id);
    }
  }
  shard.drain_credit += shard.drain_per_step;
  while (shard.drain_credit >= 1 && !shard.to_drain.empty()) {
    const auto found = shard.connections.find(shard.to_drain.back());
    shard.to_drain.pop_back();
    if (found != shard.connections.end()) {
      shard.drain_credit -= 1;
      const std::shared_ptr<Connection> connection = found->second;
      connection->drain_close();
    }
  }
  if (active_.load() > 0) {
    shard.worker.arm(shard.drain_timer, kDrainStep);
  } else if (shard.worker.index() == 0 && drained_) {
    std::exchange(drained_, nullptr)();
  }
}

}  // namespace tidemark::gateway
