#include "http/server.h"

#include "http/acceptor.h"
#include "http/connection.h"
#include "http/context.h"

namespace tidemark::http {
namespace {

constexpr size_t kRefusalsMax = 1024;  // connections that are being told that there are too many

// Calls `act` for each connection of the running worker. A connection may close itself and so leave the set.
template <class Act>
void for_each_here(Context& context, size_t worker, Act act) {
  std::vector<std::shared_ptr<Connection>> all;
  for (Connection* const connection : context.open[worker]) {
    all.push_back(connection->shared_from_this());
  }
  for (const auto& connection : all) {
    act(*connection);
  }
}

}  // namespace

Context::Context(WorkerPool& pool, MetricRegistry& metrics, const command::Table* table, const Rest* rest_door,
                 ServerOptions server_options, ServerHooks server_hooks)
    : options(std::move(server_options)),
      hooks(std::move(server_hooks)),
      rest(rest_door),
      pages(options, hooks, metrics, table),
      workers(pool),
      open(static_cast<size_t>(pool.size())),
      addresses(static_cast<size_t>(pool.size())) {
  for (size_t i = 0; i < answers.size(); ++i) {
    answers[i] = &metrics.counter("tidemark_http_requests_total", "HTTP requests answered, by class of status",
                                  {{"status", std::to_string(i + 1) + "xx"}});
  }
}

bool Context::reserve_body(size_t bytes) {
  if (body_bytes.fetch_add(bytes, std::memory_order_relaxed) + bytes <= options.bodies_bytes_max) {
    return true;
  }
  release_body(bytes);
  return false;
}

Server::Server(WorkerPool& workers, MetricRegistry& metrics, const command::Table* table, const Rest* rest,
               ServerOptions options, ServerHooks hooks)
    : context_(std::make_shared<Context>(workers, metrics, table, rest, std::move(options), std::move(hooks))) {
  acceptor_ = std::make_unique<Acceptor>(
      workers,
      [this](Worker& worker, Acceptor::Socket socket, const Acceptor::Endpoint& peer, Room room) {
        adopt(worker, std::move(socket), peer, room);
      },
      context_->options.metrics_only);
}

void Server::adopt(Worker& worker, boost::asio::ip::tcp::socket socket, const boost::asio::ip::tcp::endpoint& peer,
                   Room room) {
  const size_t open = context_->connections.load(std::memory_order_relaxed);
  const size_t most = context_->options.connections_max;
  if (open >= most + kRefusalsMax) {
    return;
  }
  const std::shared_ptr<const TlsContext> tls = context_->tls.load();
  StreamSocket stream = tls ? StreamSocket(std::move(socket), *tls) : StreamSocket(std::move(socket));
  const auto connection = std::make_shared<Connection>(context_, worker, std::move(stream), peer);
  open < most && room != Room::nearly_none ? connection->start(room == Room::scarce) : connection->start_refusing();
}

Server::~Server() {
  for (size_t i = 0; i < context_->open.size(); ++i) {
    for_each_here(*context_, i, [](Connection& connection) { connection.close(); });
  }
}

Status Server::listen(const std::string& host, int port) { return acceptor_->listen(host, port); }

int Server::port() const { return acceptor_->port(); }

void Server::use_tls(std::shared_ptr<const TlsContext> tls) { context_->tls.store(std::move(tls)); }

void Server::set_connections_per_ip(size_t most) { context_->connections_per_ip.store(most); }

void Server::stop_listening() { acceptor_->close(); }

void Server::begin_drain() {
  context_->draining.store(true);
  close_idle();
}

void Server::close_idle() {
  for (int i = 0; i < context_->workers.size(); ++i) {
    context_->workers.at(i).post([context = context_, i] {
      for_each_here(*context, static_cast<size_t>(i), [](Connection& connection) { connection.close_if_idle(); });
    });
  }
}

size_t Server::connections() const { return context_->connections.load(std::memory_order_relaxed); }

}  // namespace tidemark::http
