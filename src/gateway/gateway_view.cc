// What others see of the connections: an operator, and who looks at a session.
#include <algorithm>

#include "gateway/gateway_parts.h"

namespace tidemark::gateway {
namespace {

bool slower(const ConnectionView& a, const ConnectionView& b) {
  return std::pair(a.behind, a.queue_bytes) > std::pair(b.behind, b.queue_bytes);
}

void keep_slowest(std::vector<ConnectionView>& slowest, size_t limit) {
  const size_t kept = std::min(limit, slowest.size());
  std::partial_sort(slowest.begin(), slowest.begin() + static_cast<std::ptrdiff_t>(kept), slowest.end(), slower);
  slowest.resize(kept);
}

}  // namespace

Task<ConnectionsView> Gateway::view(size_t limit) {
  Worker& from = *Worker::current();
  ConnectionsView view;
  for (const auto& shard : shards_) {
    co_await shard->worker.enter();
    for (const auto& [id, connection] : shard->connections) {
      const int64_t behind = connection->behind();
      const size_t queued = connection->queued_bytes();
      ++view.connections;
      view.queued += queued > 0;
      view.behind += behind > 0;
      view.queue_bytes += static_cast<int64_t>(queued);
      if (queued == 0 && behind == 0) {
        continue;
      }
      const UserKey& user = connection->user();
      view.slowest.push_back({user.tenant.str(), user.user.str(), connection->caller().device.str(),
                              static_cast<int64_t>(id), behind, static_cast<int64_t>(queued)});
      if (view.slowest.size() > 4 * limit + 64) {
        keep_slowest(view.slowest, limit);
      }
    }
    keep_slowest(view.slowest, limit);
  }
  co_await from.enter();
  co_return view;
}

Task<std::optional<session::ConnectionReport>> Gateway::report(session::Connection at) {
  Worker& from = *Worker::current();
  co_await parts_.workers.at(at.worker).enter();
  std::optional<session::ConnectionReport> report;
  if (const auto connection = find(at)) {
    report = connection->report();
  }
  co_await from.enter();
  co_return report;
}

}  // namespace tidemark::gateway
