#include "app/config.h"
#include "app/operation.h"
#include "app/store.h"
#include "core/json.h"

namespace tidemark::app {
namespace {

constexpr size_t kSlowest = 20;

std::string list_json(const std::vector<gateway::ConnectionView>& connections) {
  std::string json = "[";
  for (const gateway::ConnectionView& one : connections) {
    json += json.size() > 1 ? "," : "";
    JsonWriter(json)
        .begin()
        .field("tenant_id", one.tenant)
        .field("user_id", one.user)
        .field("device_id", one.device)
        .field("connection", one.connection)
        .field("behind", one.behind)
        .field("queue_bytes", one.queue_bytes)
        .end();
  }
  return json + "]";
}

}  // namespace

Status print_stats(const Operated& node, const OperationAnswer& answer) {
  const auto connections = wait_on<gateway::ConnectionsView>(node.workers.at(0), [&] { return node.gateway.view(kSlowest); });
  const auto users = wait_on<int64_t>(node.workers.at(0), [&] { return node.sessions.online_users(); });
  std::string json;
  JsonWriter(json)
      .begin()
      .field("node", node.config.node.id)
      .field("time_ms", node.clock.unix_ms())
      .field("ready", node.store.database->healthy() && !node.gateway.draining())
      .field("draining", node.gateway.draining())
      .field("users", users)
      .field("connections", connections.connections)
      .field("queued", connections.queued)
      .field("behind", connections.behind)
      .field("queue_bytes", connections.queue_bytes)
      .raw("slowest", list_json(connections.slowest))
      .field("metrics", node.metrics.expose())
      .end();
  answer.print(json);
  return {};
}

}  // namespace tidemark::app
