// The wiring of the doors: WebSocket, HTTP, metrics, gRPC, the control socket; and what watches over them.
#include <malloc.h>

#include "app/node_parts.h"
#include "app/part_options.h"
#include "core/json.h"
#include "core/process_memory.h"

namespace tidemark::app {

void Node::Parts::make_doors() {
  make_gateway();
  make_http();
  make_guard();
}

void Node::Parts::make_gateway() {
  gateway::GatewayOptions gateway_options;
  gateway_options.limits = gateway_limits_of(config);
  gateway_options.content_bytes = config.limits.content;
  gateway_options.heartbeat_interval = config.heartbeat.interval;
  gateway_options.heartbeat_timeout = config.heartbeat.timeout;
  gateway_options.drain_grace = config.drain.grace;
  gateway_options.drain_per_second = config.drain.connections_per_second;
  gateway_options.allowed_origins = config.http.allowed_origins;
  gateway_options.compression = config.http.compression == Compression::deflate;
  gateway_options.node = config.node.id;
  gateway_options.epoch = store->epoch;
  gateway_options.dev = options.dev;
  gateway = std::make_unique<gateway::Gateway>(
      gateway::Gateway::Parts{*workers, *store->database, *engine, *account, *sessions, *devices, *conversations,
                              *limiter, *table, clock, random, metrics,
                              [](int status, std::string_view code, std::string_view text, const auto& headers) {
                                return http::refusal(status, code, text, headers);
                              }},
      std::move(gateway_options));
  sessions->set_door(gateway->door());
  at_reload.emplace_back([this](const Config& now) { gateway->set_limits(gateway_limits_of(now)); });
}

void Node::Parts::make_http() {
  http::ServerOptions http_options;
  http_options.handshake_timeout = config.limits.handshake_timeout;
  http_options.body_bytes = config.limits.http_body;
  http_options.allowed_origins = config.http.allowed_origins;
  http_options.trusted_proxies = *Networks::parse(config.http.trusted_proxies);
  http_options.loopback_hosts_only = options.dev;
  http_options.demo = options.dev;
  http::ServerHooks hooks;
  hooks.upgrade = [this](http::Upgrade upgrade) {
    gateway->accept({std::move(upgrade.socket), std::move(upgrade.head), std::move(upgrade.early_bytes),
                     std::move(upgrade.client_ip), upgrade.client_port, upgrade.scarce});
  };
  hooks.readiness = [this] { return readiness(); };
  rest = std::make_unique<http::Rest>(*table, *sessions, options.dev);
  http = std::make_unique<http::Server>(*workers, metrics, table.get(), rest.get(), std::move(http_options), hooks);
  http->set_connections_per_ip(http_connections_per_ip_of(config));
  http::ServerOptions metrics_options;
  metrics_options.metrics_only = true;
  hooks.upgrade = nullptr;
  metrics_http = std::make_unique<http::Server>(*workers, metrics, nullptr, nullptr, metrics_options, hooks);
  statesync_metrics_http =
      std::make_unique<http::Server>(*workers, metrics, nullptr, nullptr, std::move(metrics_options), std::move(hooks));
  at_reload.emplace_back([this](const Config& now) { http->set_connections_per_ip(http_connections_per_ip_of(now)); });
}

Status Node::Parts::make_rpc() {
  if (options.closed || options.stepped != nullptr) {
    return {};
  }
  const RpcDoors::Rooms rooms{*workers, *account, *sessions, *documents, *table, clock, metrics};
  auto made = RpcDoors::make(config, options.dev, rooms, [this] { return serving(); });
  if (!made.ok()) {
    return made.error();
  }
  rpc = std::move(*made);
  return {};
}

void Node::Parts::make_guard() {
  MemoryGuard::Actions actions;
  actions.measure = resident_bytes;
  actions.trim = [] { ::malloc_trim(0); };
  actions.refuse_newcomers = [this](bool is_short) { gateway->set_memory_short(is_short); };
  actions.shed = [this](size_t bytes) { gateway->shed(bytes); };
  memory_guard = std::make_unique<MemoryGuard>(workers->at(0), config.limits.memory, std::move(actions), metrics);
  at_start.emplace_back([this] { memory_guard->start(); });
  at_reload.emplace_back([this](const Config& now) { memory_guard->set_limit(now.limits.memory); });
}

Status Node::Parts::open_doors(const std::function<Status(const OperationRequest&, const OperationAnswer&)>& operate) {
  const auto listen = [](http::Server& server, const Listener& at) {
    return at ? server.listen(at->host, at->port) : Status();
  };
  if (const Status listening = listen(*http, config.http.listen); !listening.ok()) {
    return listening;
  }
  const Listener& metrics_at =
      config.session.metrics_listen ? config.session.metrics_listen : config.gateway.metrics_listen;
  if (const Status listening = listen(*metrics_http, metrics_at); !listening.ok()) {
    return listening;
  }
  if (const Status listening = listen(*statesync_metrics_http, config.statesync.metrics_listen); !listening.ok()) {
    return listening;
  }
  if (!store->directory || options.stepped != nullptr) {
    return {};
  }
  // Before the workers, so that whoever sees the node ready finds it; operations wait for the workers.
  control = std::make_unique<ControlServer>(store->directory->path(), ControlOptions{}, operate);
  return control->start();
}

void Node::Parts::close_doors() {
  if (rpc) {
    rpc->stop();  // while the workers and the store still answer
  }
  control.reset();  // operations wait for workers and for the store: they end first
  http->stop_listening();
  metrics_http->stop_listening();
  statesync_metrics_http->stop_listening();
}

bool Node::Parts::serving() const { return store->database->healthy() && !gateway->draining(); }

http::Readiness Node::Parts::readiness() const {
  const bool healthy = store->database->healthy();
  const bool draining = gateway->draining();
  http::Readiness readiness;
  readiness.ready = serving() && doors_open.load();
  JsonWriter(readiness.json)
      .begin()
      .field("ready", readiness.ready)
      .field("storage", healthy ? "ok" : "failed")
      .field("draining", draining)
      .field("bus", "ok")
      .end();
  return readiness;
}

}  // namespace tidemark::app
