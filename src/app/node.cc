#include "app/node.h"

#include "app/credentials.h"
#include "app/node_parts.h"
#include "core/log.h"
#include "http/acceptor.h"
#include "http/openapi.h"

namespace tidemark::app {
namespace {

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

Random& system_random() {
  static SystemRandom random;
  return random;
}

}  // namespace

Node::Parts::Parts(Config given, NodeOptions node_options)
    : config(std::move(given)),
      options(std::move(node_options)),
      clock(options.stepped != nullptr ? options.stepped->clock : system_clock()),
      random(options.stepped != nullptr ? options.stepped->random : system_random()) {}

Node::Node(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Node::~Node() { stop(); }

Result<std::unique_ptr<Node>> Node::make(const Config& config, NodeOptions options) {
  auto parts = std::make_unique<Parts>(config, std::move(options));
  auto store = open_store(config, parts->metrics, parts->clock, parts->random, parts->options.on_storage_failure,
                          parts->options.stepped != nullptr ? &parts->options.stepped->storage : nullptr);
  if (!store.ok()) {
    return store.error();
  }
  auto keys = read_keys(parts->config, store->session_key);
  if (!keys.ok()) {
    return keys.error();
  }
  if (parts->options.dev && store->directory) {
    if (const Status written = store->directory->write_dev_secret(config.auth.hs256_secret.reveal()); !written.ok()) {
      return written.error();
    }
  }
  auto tls = read_certificate(config);
  if (!tls.ok()) {
    return tls.error();
  }
  parts->make_rooms(std::move(*store), std::move(*keys));
  if (const Status loaded = parts->account->load(); !loaded.ok()) {
    return loaded.error();
  }
  parts->make_doors();
  if (*tls) {
    log_certificate(**tls, parts->clock);
    parts->http->use_tls(std::move(*tls));
  }
  if (const Status made = parts->make_rpc(); !made.ok()) {
    return made.error();
  }
  return std::unique_ptr<Node>(new Node(std::move(parts)));
}

Status Node::start() {
  Parts& parts = *parts_;
  if (parts.options.closed) {
    parts.started = true;
    parts.workers->start();
    return {};
  }
  const Status open = parts.open_doors(
      [this](const OperationRequest& request, const OperationAnswer& answer) { return operate(request, answer); });
  if (!open.ok()) {
    return open;
  }
  parts.started = true;
  if (parts.options.stepped == nullptr) {
    parts.workers->start();
  }
  for (const auto& start : parts.at_start) {
    start();
  }
  if (parts.rpc) {
    if (const Status listening = parts.rpc->listen(); !listening.ok()) {  // calls come on its own threads, perhaps at once
      return listening;
    }
  }
  parts.doors_open.store(true);
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
                      .documents = *parts.documents,
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
  if (parts.rpc) {
    parts.rpc->begin_drain();
  }
  auto gone = std::make_shared<std::promise<void>>();
  parts.gateway->drain([gone] { gone->set_value(); });
  gone->get_future().wait_for(parts.config.drain.grace + std::chrono::seconds(5));
  if (parts.rpc) {
    parts.rpc->wait_until_over(parts.config.drain.grace);
  }
  parts.http->stop_listening();
  // Markers and cursors that wait for their batch are worth a moment; what was acknowledged is stored already.
  auto stored = std::make_shared<std::promise<void>>();
  parts.workers->at(0).post([&parts, stored] {
    spawn([](Parts& all, std::shared_ptr<std::promise<void>> done) -> Task<> {
      for (const auto& store : all.at_drain) {
        co_await store();
      }
      done->set_value();
    }(parts, stored));
  });
  parts.wait_for(stored->get_future());
}

void Node::Parts::wait_for(std::future<void> done) const {
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
  parts.close_doors();
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
  auto keys = read_keys(effective, parts_->store->session_key);
  if (!keys.ok()) {
    return keys.error();
  }
  auto tls = read_certificate(config);
  if (!tls.ok()) {
    return tls.error();
  }
  if ((*tls == nullptr) != parts_->config.http.tls_cert.empty()) {
    return fail(Code::invalid_field, "http.tls.cert: TLS cannot be switched on or off while the node runs");
  }
  if (parts_->rpc) {
    // The last that can fail: nothing has changed so far.
    if (const Status reloaded = parts_->rpc->reload(config); !reloaded.ok()) {
      return reloaded;
    }
  }
  parts_->account->replace_keys(std::move(*keys));
  if (*tls) {
    log_certificate(**tls, parts_->clock);
    parts_->http->use_tls(std::move(*tls));
  }
  for (const auto& take_over : parts_->at_reload) {
    take_over(config);
  }
  log_level(config.log.level);
  return {};
}

int Node::http_port() const { return parts_->http->port(); }

int Node::session_grpc_port() const { return parts_->rpc ? parts_->rpc->session_port() : 0; }

int Node::statesync_grpc_port() const { return parts_->rpc ? parts_->rpc->statesync_port() : 0; }

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
