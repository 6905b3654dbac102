#include "app/part_options.h"

#include <algorithm>

namespace tidemark::app {

command::RateTable rates_of(const Config& config) {
  const Config::Limits& limits = config.limits;
  const auto rate = [](double per_second, size_t burst) {
    return command::RateOptions{per_second, static_cast<double>(burst)};
  };
  command::RateTable table;
  const auto at = [&table](command::Rate class_of) -> command::RateOptions& {
    return table[static_cast<size_t>(class_of)];
  };
  at(command::Rate::durable) = rate(static_cast<double>(limits.messages_per_second), limits.messages_burst);
  at(command::Rate::edit) = rate(static_cast<double>(limits.operations_per_second), limits.operations_burst);
  at(command::Rate::signal) = rate(static_cast<double>(limits.signals_per_second), limits.signals_burst);
  at(command::Rate::query) = rate(static_cast<double>(limits.queries_per_second), limits.queries_burst);
  at(command::Rate::creation) = rate(static_cast<double>(limits.creations_per_minute) / 60, limits.creations_burst);
  at(command::Rate::upkeep) = rate(static_cast<double>(limits.upkeep_per_second), limits.upkeep_burst);
  return table;
}

session::SessionOptions session_options_of(const Config& config) {
  session::SessionOptions options;
  options.ttl = config.session.ttl;
  options.ttl_max = config.session.ttl_max;
  options.idle_after = config.session.idle_after;
  options.connections_per_user = config.limits.connections_per_user;
  return options;
}

conversation::ConversationOptions conversation_options_of(const Config& config) {
  conversation::ConversationOptions options;
  options.content_bytes = config.limits.content;
  options.data_bytes = config.limits.data;
  options.members = config.limits.members;
  options.receipt_members = config.limits.receipt_members;
  options.store_receipts_every = config.cursors.store_every;
  return options;
}

document::DocumentOptions document_options_of(const Config& config) {
  constexpr const char* kPolicies[] = {"lww", "merge", "manual"};
  document::DocumentOptions options;
  options.lock_ttl = config.statesync.lock_ttl;
  options.conflict_policy = kPolicies[static_cast<size_t>(config.statesync.conflict_policy)];
  options.compact_after = static_cast<int64_t>(config.statesync.compact_after);
  options.snapshot_every = static_cast<int64_t>(config.statesync.snapshot_every);
  options.content_bytes = config.statesync.content;
  options.metadata_bytes = config.limits.data;
  options.bookmark = config.statesync.bookmark;
  return options;
}

presence::PresenceOptions presence_options_of(const Config& config) {
  presence::PresenceOptions options;
  options.grace = config.presence.grace;
  options.watches = config.limits.watches;
  return options;
}

gateway::GatewayLimits gateway_limits_of(const Config& config) {
  gateway::GatewayLimits limits;
  limits.frames.message_bytes = config.limits.frame;
  limits.frames.fragments = config.limits.fragments;
  limits.depth = config.limits.depth;
  limits.queue_bytes = config.limits.queue;
  limits.queue_total = config.limits.queue_total;
  limits.watches = config.limits.watches;
  limits.inflight = config.limits.inflight;
  limits.inbound_per_second = config.limits.inbound_per_second;
  limits.inbound_burst = config.limits.inbound_burst;
  limits.streams = config.limits.streams;
  limits.connections = config.limits.connections;
  limits.connections_per_ip = config.limits.connections_per_ip;
  limits.handshakes_per_second = config.limits.handshakes_per_second;
  limits.openings = config.limits.openings;
  limits.openings_waiting = config.limits.openings_waiting;
  limits.opening_wait = config.limits.opening_wait;
  limits.write_stall = config.limits.write_stall;
  limits.register_timeout = config.limits.register_timeout;
  limits.replay.per_stream = static_cast<int64_t>(config.limits.replay_entries);
  limits.replay.total = limits.replay.per_stream * 10;
  return limits;
}

size_t http_connections_per_ip_of(const Config& config) {
  constexpr size_t kLeast = 16;
  const size_t most = config.limits.connections_per_ip;
  return most == 0 ? 0 : std::max(kLeast, most);
}

}  // namespace tidemark::app
