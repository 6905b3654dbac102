#include "gateway/gateway.h"

#include <algorithm>

#include "core/ascii.h"
#include "core/json.h"
#include "core/log.h"
#include "gateway/event_dialect.h"
#include "gateway/extension.h"
#include "gateway/gateway_parts.h"
#include "gateway/refusal.h"
#include "gateway/upgrade_target.h"

namespace tidemark::gateway {

namespace {

constexpr std::string_view kProtocol = "tidemark.v1";
constexpr std::string_view kBearer = "bearer.";
constexpr uint64_t kRetrySpreadMs = 5000;

std::string header(const RequestHead& head, boost::beast::http::field name) {
  const auto value = head[name];
  return {value.data(), value.size()};
}

}  // namespace

Gateway::Gateway(Parts parts, GatewayOptions options)
    : parts_(std::move(parts)),
      options_(std::move(options)),
      limits_(options_.limits),
      addresses_(parts_.workers),
      accepted_(parts_.metrics.counter("websocket_connections_total", "WebSocket connections accepted.")),
      active_gauge_(parts_.metrics.gauge("websocket_connections_active", "WebSocket connections now.")),
      sent_(parts_.metrics.counter("websocket_messages_sent_total", "Messages queued to clients.")),
      received_(parts_.metrics.counter("websocket_messages_received_total", "Messages from clients.")),
      signals_dropped_(parts_.metrics.counter("tidemark_signals_dropped_total",
                                              "Signals that a slow connection did not get.")),
      inbound_refused_(parts_.metrics.counter("tidemark_rate_limited_total", "Requests refused as too fast, by class.",
                                              {{"class", "inbound"}})),
      dropping_(parts_.metrics.gauge("tidemark_outbound_queue_connections", "Connections with a full queue, by stage.",
                                     {{"stage", "dropping"}})),
      lagging_(parts_.metrics.gauge("tidemark_outbound_queue_connections", "Connections with a full queue, by stage.",
                                    {{"stage", "lagging"}})),
      resumed_(parts_.metrics.counter("tidemark_replay_outcome_total", "Replays by outcome.", {{"outcome", "resumed"}})),
      gaps_(parts_.metrics.counter("tidemark_replay_outcome_total", "Replays by outcome.", {{"outcome", "gap"}})) {
  for (int i = 0; i < parts_.workers.size(); ++i) {
    shards_.push_back(std::make_unique<Shard>(*this, parts_.workers.at(i)));
  }
  parts_.metrics.gauge_function("tidemark_outbound_queue_bytes", "Bytes that wait for slow connections.", [this] {
    size_t bytes = 0;
    for (int i = 0; i < parts_.workers.size(); ++i) {
      bytes += parts_.workers.at(i).output_bytes();
    }
    return static_cast<double>(bytes);
  });
}

Gateway::~Gateway() { parts_.metrics.remove_gauge_function("tidemark_outbound_queue_bytes"); }

void Gateway::refuse(Admission& admission, int status, std::string_view code, std::string_view text,
                     std::vector<std::pair<std::string_view, std::string>> headers) {
  log_info("gateway.refused", {{"status", status}, {"code", code}, {"address", admission.incoming.client_ip}});
  std::make_shared<Refusal>(admission.worker, std::move(admission.incoming.socket),
                            parts_.refuse(status, code, text, headers))
      ->start();
}

void Gateway::refuse(Admission& admission, const Error& error) {
  const ErrorRow& row = row_of(error.code);
  std::vector<std::pair<std::string_view, std::string>> headers;
  if (error.code == Code::unauthorized) {
    headers.emplace_back("WWW-Authenticate", "Bearer");
  }
  if (row.retryable) {
    headers.emplace_back("Retry-After", std::to_string(std::max<int64_t>(1, (error.retry_after_ms + 999) / 1000)));
  }
  refuse(admission, row.http_status, row.name, error.text.empty() ? row.text : std::string_view(error.text),
         std::move(headers));
}

void Gateway::refuse_for_now(Admission& admission, std::string_view reason, std::string text,
                             std::chrono::milliseconds at_least) {
  parts_.metrics
      .counter("tidemark_upgrades_refused_total", "Upgrades refused for now (503), by what is full.",
               {{"reason", std::string(reason)}})
      .add();
  const auto jitter = static_cast<int64_t>(parts_.random.below(kRetrySpreadMs));
  refuse(admission, Error{Code::unavailable, std::move(text), {}, at_least.count() + jitter});
}

// What can be said before anybody is looked up. False: it was refused.
bool Gateway::admits(Admission& admission) {
  const GatewayLimits& limits = *limits_;
  if (draining_.load()) {
    refuse_for_now(admission, "draining", "this node is draining");
    return false;
  }
  if (memory_short_.load()) {
    refuse_for_now(admission, "memory", "this node is short of memory");
    return false;
  }
  if (admission.incoming.scarce) {
    refuse_for_now(admission, "descriptors", "this node is short of file descriptors");
    return false;
  }
  if (connections() >= limits.connections) {
    refuse_for_now(admission, "connections", "this node has as many connections as it may");
    return false;
  }
  if (limits.handshakes_per_second > 0) {
    const auto rate = static_cast<double>(limits.handshakes_per_second);
    const auto wait = handshakes_.take(admission.worker.clock().now(), {rate, rate});
    if (wait.count() > 0) {
      refuse_for_now(admission, "handshakes", "too many connect at once",
                     std::chrono::ceil<std::chrono::milliseconds>(wait));
      return false;
    }
  }
  return true;
}

// The page's origin must be listed, or be this host; without the header it is no browser.
bool Gateway::origin_allowed(const RequestHead& head) const {
  const std::string origin = header(head, boost::beast::http::field::origin);
  if (head.count(boost::beast::http::field::origin) > 1) {
    return false;
  }
  if (origin.empty()) {
    return true;
  }
  if (std::find(options_.allowed_origins.begin(), options_.allowed_origins.end(), origin) !=
      options_.allowed_origins.end()) {
    return true;
  }
  const std::string host = header(head, boost::beast::http::field::host);
  return options_.allowed_origins.empty() && (origin == "http://" + host || origin == "https://" + host);
}

void Gateway::accept(Incoming incoming) {
  auto admission = std::make_unique<Admission>(addresses_, *Worker::current(), std::move(incoming));
  const RequestHead& head = admission->incoming.head;
  const auto checked = check_handshake(head);
  if (const auto* const refusal = std::get_if<HandshakeRefusal>(&checked)) {
    std::vector<std::pair<std::string_view, std::string>> headers;
    if (refusal->http_status == 426) {
      headers = {{"Upgrade", "websocket"}, {"Sec-WebSocket-Version", "13"}};
    } else if (refusal->http_status == 405) {
      headers = {{"Allow", "GET"}};
    }
    refuse(*admission, refusal->http_status, refusal->http_status == 405 ? "method_not_allowed" : "invalid_frame",
           refusal->why, std::move(headers));
    return;
  }
  const auto& request = std::get<HandshakeRequest>(checked);
  admission->key = std::string(request.key);
  if (!origin_allowed(head)) {
    refuse(*admission, Error{Code::forbidden, "this origin is not allowed", {}, 0});
    return;
  }
  if (!admits(*admission)) {
    return;
  }
  auto target = parse_upgrade_target(std::string_view(head.target().data(), head.target().size()));
  if (!target.ok()) {
    refuse(*admission, target.error());
    return;
  }
  admission->extensions = options_.compression ? accept_deflate(head) : std::string();
  admission->may_register = target->path == "/ws";
  admission->token = std::move(target->token);
  for (const std::string_view protocol : request.subprotocols) {
    if (protocol == events::kProtocol || (protocol == kProtocol && admission->subprotocol.empty())) {
      admission->subprotocol = protocol;
    } else if (protocol.starts_with(kBearer)) {
      admission->token = std::string(protocol.substr(kBearer.size()));
    }
  }
  admission->events = target->events || admission->subprotocol == events::kProtocol;
  const std::string authorization = header(head, boost::beast::http::field::authorization);
  if (authorization.size() > 7 && equal_ignoring_case(authorization.substr(0, 7), "Bearer ")) {
    admission->token = authorization.substr(7);
  }
  admission->wishes.named_device = !target->device.empty();
  if (!target->device.empty()) {
    admission->wishes.device = DeviceId(target->device);
  }
  admission->wishes.session = SessionId(target->session);
  admission->wishes.only = std::move(target->conversations);
  admission->wishes.replay = target->replay;
  admission->wishes.ack_auto = target->ack_auto;
  if (admission->events && !target->ack_auto) {
    admission->wishes.ack_auto = true;  // clients of that style know of no `ack`
  }
  if (admission->token.empty() && !admission->may_register) {
    refuse(*admission, fail(Code::unauthorized));
    return;
  }
  spawn(admit(std::move(admission)));
}

std::shared_ptr<Connection> Gateway::make_connection(Admission& admission, std::string_view subprotocol) {
  Worker& worker = admission.worker;
  const stream::OutletId id = next_id_.fetch_add(1);
  auto connection = std::make_shared<Connection>(*this, worker, std::move(admission.incoming.socket), id);
  admission.counted = false;  // from now on the connection's to give back
  shards_[static_cast<size_t>(worker.index())]->connections[id] = connection;
  accepted_.add();
  active_gauge_.add(1);
  active_.fetch_add(1);
  connection->send_raw(switching_protocols(admission.key, subprotocol, admission.extensions));
  if (!admission.extensions.empty()) {
    connection->enable_deflate();
  }
  if (admission.events) {
    connection->speak_events();
  }
  return connection;
}

void Gateway::forget(Connection& connection, CloseCode code) {
  parts_.metrics
      .counter("tidemark_close_codes_total", "Connections ended, by close code.",
               {{"code", std::to_string(static_cast<int>(code))}})
      .add();
  active_gauge_.add(-1);
  active_.fetch_sub(1);
  if (connection.at_home) {
    connection.at_home = false;
    parts_.sessions.remove_connection(connection.user(), connection.home_entry(), code);
  }
  addresses_.leave(address_group(connection.caller().client_ip));
  Shard& shard = *shards_[static_cast<size_t>(connection.worker().index())];
  shard.connections.erase(connection.outlet_id());
}

std::shared_ptr<Connection> Gateway::find(const session::Connection& at) {
  const auto& connections = shards_[static_cast<size_t>(at.worker)]->connections;
  const auto found = connections.find(at.id);
  return found == connections.end() ? nullptr : found->second;
}

session::ConnectionDoor Gateway::door() {
  // Everything posts, also to the own worker: rooms are never called back from inside their own calls.
  const auto post_to = [this](const session::Connection& at, auto action) {
    parts_.workers.at(at.worker).post([this, id = at.id, worker = at.worker, action = std::move(action)]() mutable {
      session::Connection where;
      where.id = id;
      where.worker = worker;
      if (const auto connection = find(where)) {
        action(*connection);
      }
    });
  };
  session::ConnectionDoor door;
  door.close = [post_to](const session::Connection& at, CloseCode code) {
    post_to(at, [code](Connection& connection) { connection.close_with(code); });
  };
  door.signal = [post_to](const session::Connection& at, stream::Frame frame) {
    post_to(at, [frame = std::move(frame)](Connection& connection) { connection.signal(frame); });
  };
  door.follow = [post_to](const session::Connection& at, stream::FollowRequest request) {
    post_to(at, [request = std::move(request)](Connection& connection) { connection.follow(request); });
  };
  door.unfollow = [post_to](const session::Connection& at, stream::StreamKey key) {
    post_to(at, [key = std::move(key)](Connection& connection) { connection.unfollow(key); });
  };
  door.report = [this](session::Connection at) { return report(std::move(at)); };
  return door;
}

}  // namespace tidemark::gateway
