#include "app/node.h"

#include <malloc.h>

#include <fstream>
#include <future>
#include <sstream>

#include "app/control_server.h"
#include "app/memory_guard.h"
#include "app/part_options.h"
#include "app/store.h"
#include "core/json.h"
#include "core/log.h"
#include "core/process_memory.h"
#include "core/tls_context.h"
#include "gateway/gateway.h"
#include "http/acceptor.h"
#include "http/openapi.h"
#include "http/rest.h"
#include "http/server.h"
#include "presence/presence.h"
#include "stream/retention.h"

namespace tidemark::app {
namespace {

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) {
    return fail(Code::unavailable, "cannot read " + path);
  }
  return text.str();
}

Result<std::shared_ptr<const account::KeySet>> make_keys(const Config& config, const Secret& session_key) {
  account::KeySources sources;
  sources.hs256_secret = config.auth.hs256_secret;
  sources.hs256_secret_previous = config.auth.hs256_secret_previous;
  sources.session_key = session_key;
  if (!config.auth.jwks_file.empty()) {
    auto jwks = read_file(config.auth.jwks_file);
    if (!jwks.ok()) {
      return jwks.error();
    }
    if (jwks->empty()) {
      // As if there were none, the set would be gone without a word: a file that is just being written looks so.
      return invalid_field("auth.jwks_file", config.auth.jwks_file + " is empty");
    }
    sources.jwks = std::move(*jwks);
  }
  return account::KeySet::make(sources);
}

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

Random& system_random() {
  static SystemRandom random;
  return random;
}

// Null without http.tls.cert.
Result<std::shared_ptr<const TlsContext>> make_tls(const Config& config) {
  if (config.http.tls_cert.empty()) {
    return std::shared_ptr<const TlsContext>();
  }
  auto tls = TlsContext::make(config.http.tls_cert, config.http.tls_key);
  if (!tls.ok()) {
    return Error{tls.error().code, "http.tls: " + tls.error().text, "http.tls.cert", 0};
  }
  return tls;
}

void announce(const TlsContext& tls, const Clock& clock) {
  const int64_t left_s = tls.expires_at() - clock.unix_ms() / 1000;
  log(left_s > 0 ? LogLevel::info : LogLevel::warn, left_s > 0 ? "tls.certificate" : "tls.certificate_expired",
      {{"subject", tls.subject()}, {"valid_for_hours", left_s / 3600}});
}

// Of a session that was revoked. There may be none: then its tokens are refused for that.
Task<> close_session(session::Sessions& sessions, UserKey tenant, SessionId id) {
  (void)co_await sessions.close(std::move(tenant), std::move(id));
}

std::string host_of(const Endpoint& endpoint) { return endpoint.host; }

}  // namespace

// In the order in which they are made; destroyed in the opposite order.
struct Node::Parts {
  Parts(Config given, NodeOptions node_options)
      : config(std::move(given)),
        options(std::move(node_options)),
        clock(options.stepped != nullptr ? options.stepped->clock : system_clock()),
        random(options.stepped != nullptr ? options.stepped->random : system_random()) {}

  void make_rooms(Store opened, std::shared_ptr<const account::KeySet> keys);
  void make_doors();
  void make_guard();
  http::Readiness readiness() const;
  void wait_for(std::future<void> done);

  const Config config;
  const NodeOptions options;
  const Clock& clock;
  Random& random;
  MetricRegistry metrics;
  std::optional<Store> store;
  std::unique_ptr<WorkerPool> workers;
  std::unique_ptr<stream::Fanout> fanout;
  std::unique_ptr<stream::Engine> engine;
  std::unique_ptr<account::Account> account;
  std::unique_ptr<command::RateLimiter> limiter;
  std::unique_ptr<command::Table> table;
  std::unique_ptr<session::Sessions> sessions;
  std::unique_ptr<device::Devices> devices;
  std::unique_ptr<conversation::Conversations> conversations;
  std::unique_ptr<presence::Presence> presence;
  std::unique_ptr<stream::Retention> retention;
  std::unique_ptr<gateway::Gateway> gateway;
  std::unique_ptr<http::Rest> rest;
  std::unique_ptr<http::Server> http;
  std::unique_ptr<http::Server> metrics_http;
  std::unique_ptr<ControlServer> control;
  std::unique_ptr<MemoryGuard> memory_guard;
  bool started = false;
};

void Node::Parts::make_rooms(Store opened, std::shared_ptr<const account::KeySet> keys) {
  store.emplace(std::move(opened));
  storage::Database& database = *store->database;
  workers = std::make_unique<WorkerPool>(static_cast<int>(config.node.workers), clock);
  fanout = std::make_unique<stream::Fanout>(*workers, database, stream::FanoutOptions{}, metrics);
  engine = std::make_unique<stream::Engine>(*fanout, database, stream::ReplayOptions{}, metrics);
  account::AccountOptions account_options;
  account_options.expectations.issuer = config.auth.issuer;
  account_options.expectations.audience = config.auth.audience;
  account_options.expectations.lifetime_max = config.auth.token_ttl_max;
  account_options.session_ttl_max = config.session.ttl_max;
  account_options.revocations_max = config.limits.revocations;
  account_options.audit_keep = config.retention.audit;
  account = std::make_unique<account::Account>(*workers, database, std::move(keys), std::move(account_options), clock,
                                               metrics);
  account->set_revocation_listener([this](const account::Revocation& revocation) {
    if (revocation.kind == account::RevocationKind::session) {
      spawn(close_session(*sessions, UserKey(revocation.tenant, UserId()), SessionId(revocation.subject)));
    }
    gateway->drop_revoked();
  });
  limiter = std::make_unique<command::RateLimiter>(*workers, rates_of(config), metrics);
  table = std::make_unique<command::Table>(*limiter, clock);

  sessions = std::make_unique<session::Sessions>(*workers, database, *account, clock, random,
                                                 session_options_of(config), metrics);

  device::DeviceOptions device_options;
  device_options.store_every = config.cursors.store_every;
  device_options.forget_after = config.retention.devices;
  device_options.data_bytes = config.limits.data;
  devices = std::make_unique<device::Devices>(*workers, database, *engine, *sessions, clock, device_options);

  conversations = std::make_unique<conversation::Conversations>(*workers, database, *engine, *sessions, *devices, clock,
                                                                random, conversation_options_of(config), metrics);
  devices->set_confirm_listener([this](const UserKey& user, const stream::StreamKey& key, int64_t seq) {
    conversations->delivered(user, key, seq);
  });

  presence::Presence::Visibility visibility;
  if (config.presence.visibility == PresenceVisibility::contacts) {
    visibility = [this](UserKey viewer, std::vector<std::string> users) {
      return conversations->share(std::move(viewer), std::move(users));
    };
  }
  presence = std::make_unique<presence::Presence>(*workers, *sessions, clock, presence_options_of(config),
                                                  std::move(visibility), metrics);

  std::vector<stream::RetentionRule> rules{{stream::StreamKind::self, config.retention.sync, {}}};
  if (config.retention.messages) {
    rules.push_back({stream::StreamKind::conversation, *config.retention.messages,
                     &conversation::Conversations::forget_states});
  }
  retention = std::make_unique<stream::Retention>(*workers, database, clock, std::move(rules),
                                                   stream::RetentionOptions{}, metrics);

  account->add_commands(*table);
  sessions->add_commands(*table);
  devices->add_commands(*table);
  presence->add_commands(*table);
  conversations->add_commands(*table);
  table->freeze();
}

void Node::Parts::make_doors() {
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
  rest = std::make_unique<http::Rest>(*table, *account, *sessions);
  http = std::make_unique<http::Server>(*workers, metrics, table.get(), rest.get(), std::move(http_options), hooks);
  http->set_connections_per_ip(http_connections_per_ip_of(config));
  http::ServerOptions metrics_options;
  metrics_options.metrics_only = true;
  hooks.upgrade = nullptr;
  metrics_http =
      std::make_unique<http::Server>(*workers, metrics, nullptr, nullptr, std::move(metrics_options), std::move(hooks));
}

void Node::Parts::make_guard() {
  MemoryGuard::Actions actions;
  actions.measure = resident_bytes;
  actions.trim = [] { ::malloc_trim(0); };
  actions.refuse_newcomers = [this](bool is_short) { gateway->set_memory_short(is_short); };
  actions.shed = [this](size_t bytes) { gateway->shed(bytes); };
  memory_guard = std::make_unique<MemoryGuard>(workers->at(0), config.limits.memory, std::move(actions), metrics);
}

http::Readiness Node::Parts::readiness() const {
  const bool healthy = store->database->healthy();
  const bool draining = gateway->draining();
  http::Readiness readiness;
  readiness.ready = healthy && !draining;
  JsonWriter(readiness.json)
      .begin()
      .field("ready", readiness.ready)
      .field("storage", healthy ? "ok" : "failed")
      .field("draining", draining)
      .field("bus", "ok")
      .end();
  return readiness;
}

Node::Node(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Node::~Node() { stop(); }

Result<std::unique_ptr<Node>> Node::make(const Config& config, NodeOptions options) {
  auto parts = std::make_unique<Parts>(config, std::move(options));
  auto store = open_store(config, parts->metrics, parts->clock, parts->random, parts->options.on_storage_failure,
                          parts->options.stepped != nullptr ? &parts->options.stepped->storage : nullptr);
  if (!store.ok()) {
    return store.error();
  }
  auto keys = make_keys(parts->config, store->session_key);
  if (!keys.ok()) {
    return keys.error();
  }
  if (parts->options.dev && store->directory) {
    if (const Status written = store->directory->write_dev_secret(config.auth.hs256_secret.reveal()); !written.ok()) {
      return written.error();
    }
  }
  auto tls = make_tls(config);
  if (!tls.ok()) {
    return tls.error();
  }
  parts->make_rooms(std::move(*store), std::move(*keys));
  if (const Status loaded = parts->account->load(); !loaded.ok()) {
    return loaded.error();
  }
  parts->make_doors();
  if (*tls) {
    announce(**tls, parts->clock);
    parts->http->use_tls(std::move(*tls));
  }
  parts->make_guard();
  return std::unique_ptr<Node>(new Node(std::move(parts)));
}

Status Node::start() {
  Parts& parts = *parts_;
  if (parts.options.closed) {
    parts.started = true;
    parts.workers->start();
    return {};
  }
  const Listener& metrics_listen =
      parts.config.session.metrics_listen ? parts.config.session.metrics_listen : parts.config.gateway.metrics_listen;
  if (parts.config.http.listen) {
    const Status listening = parts.http->listen(host_of(*parts.config.http.listen), parts.config.http.listen->port);
    if (!listening.ok()) {
      return listening.error();
    }
  }
  if (metrics_listen) {
    const Status listening = parts.metrics_http->listen(host_of(*metrics_listen), metrics_listen->port);
    if (!listening.ok()) {
      return listening.error();
    }
  }
  if (parts.store->directory && parts.options.stepped == nullptr) {
    parts.control = std::make_unique<ControlServer>(
        parts.store->directory->path(), ControlOptions{},
        [this](const OperationRequest& request, const OperationAnswer& answer) { return operate(request, answer); });
    // Before the workers, so that whoever sees the node ready finds it; operations wait for the workers.
    if (const Status listening = parts.control->start(); !listening.ok()) {
      return listening.error();
    }
  }
  parts.started = true;
  if (parts.options.stepped == nullptr) {
    parts.workers->start();
  }
  parts.account->start();
  parts.sessions->start();
  parts.devices->start();
  parts.conversations->start();
  parts.retention->start();
  parts.memory_guard->start();
  return {};
}

Status Node::operate(const OperationRequest& request, const OperationAnswer& answer) {
  Parts& parts = *parts_;
  const Operated node{.config = parts.config,
                      .store = *parts.store,
                      .workers = *parts.workers,
                      .account = *parts.account,
                      .sessions = *parts.sessions,
                      .devices = *parts.devices,
                      .conversations = *parts.conversations,
                      .gateway = *parts.gateway,
                      .metrics = parts.metrics,
                      .clock = parts.clock,
                      .random = parts.random,
                      .closed = parts.options.closed};
  return run_operation(node, request, answer);
}

void Node::drain() {
  Parts& parts = *parts_;
  parts.presence->hold();
  parts.http->begin_drain();
  auto gone = std::make_shared<std::promise<void>>();
  parts.gateway->drain([gone] { gone->set_value(); });
  gone->get_future().wait_for(parts.config.drain.grace + std::chrono::seconds(5));
  parts.http->stop_listening();
  // Markers and cursors that wait for their batch are worth a moment; what was acknowledged is stored already.
  auto stored = std::make_shared<std::promise<void>>();
  parts.workers->at(0).post([&parts, stored] {
    spawn([](Parts& all, std::shared_ptr<std::promise<void>> done) -> Task<> {
      co_await all.conversations->store_all();
      co_await all.devices->store_all();
      done->set_value();
    }(parts, stored));
  });
  parts.wait_for(stored->get_future());
}

void Node::Parts::wait_for(std::future<void> done) {
  if (options.stepped != nullptr) {
    options.stepped->settle();
  }
  done.wait_for(options.stepped != nullptr ? std::chrono::seconds(0) : std::chrono::seconds(5));
}

void Node::stop() {
  Parts& parts = *parts_;
  if (!parts.started) {
    return;
  }
  parts.started = false;
  parts.control.reset();  // operations wait for workers and for the store: they end first
  parts.http->stop_listening();
  parts.metrics_http->stop_listening();
  auto ended = std::make_shared<std::promise<void>>();
  parts.gateway->abandon([ended] { ended->set_value(); });
  parts.wait_for(ended->get_future());
  // What waits for the store is answered and runs to its end before the workers go.
  parts.store->database->close();
  for (int i = 0; i < parts.workers->size(); ++i) {
    auto done = std::make_shared<std::promise<void>>();
    parts.workers->at(i).post([done] { done->set_value(); });
    parts.wait_for(done->get_future());
  }
  parts.workers->stop_and_join();
  if (parts.options.dev && parts.store->directory) {
    parts.store->directory->remove_dev_secret();
  }
}

Status Node::reload(const Config& config) {
  Config effective = config;
  if (effective.auth.hs256_secret.empty()) {
    effective.auth.hs256_secret = parts_->config.auth.hs256_secret;  // of a --dev run
  }
  auto keys = make_keys(effective, parts_->store->session_key);
  if (!keys.ok()) {
    return keys.error();
  }
  auto tls = make_tls(config);
  if (!tls.ok()) {
    return tls.error();
  }
  if ((*tls == nullptr) != parts_->config.http.tls_cert.empty()) {
    return fail(Code::invalid_field, "http.tls.cert: TLS cannot be switched on or off while the node runs");
  }
  parts_->account->replace_keys(std::move(*keys));
  if (*tls) {
    announce(**tls, parts_->clock);
    parts_->http->use_tls(std::move(*tls));
  }
  parts_->limiter->set_table(rates_of(config));
  parts_->sessions->set_options(session_options_of(config));
  parts_->presence->set_options(presence_options_of(config));
  conversation::ConversationOptions conversations = conversation_options_of(parts_->config);
  conversations.members = config.limits.members;
  conversations.receipt_members = config.limits.receipt_members;
  parts_->conversations->set_options(conversations);
  parts_->gateway->set_limits(gateway_limits_of(config));
  parts_->http->set_connections_per_ip(http_connections_per_ip_of(config));
  parts_->memory_guard->set_limit(config.limits.memory);
  log_level(config.log.level);
  return {};
}

int Node::http_port() const { return parts_->http->port(); }

WorkerPool& Node::workers() { return *parts_->workers; }

void Node::adopt(int worker, int descriptor) {
  Worker& on = parts_->workers->at(worker);
  on.post([this, &on, descriptor] {
    using boost::asio::ip::tcp;
    tcp::socket socket(on.io(), tcp::v4(), descriptor);
    socket.non_blocking(true);
    parts_->http->adopt(on, std::move(socket), tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0), http::Room::enough);
  });
}

std::string Node::openapi() const { return http::openapi(*parts_->table); }

const command::Table& Node::table() const { return *parts_->table; }

}  // namespace tidemark::app
