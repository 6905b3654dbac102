#include "gateway/gateway.h"

#include <algorithm>

#include "core/json.h"
#include "core/log.h"
#include "gateway/connection.h"
#include "gateway/upgrade_target.h"

namespace tidemark::gateway {

namespace {

constexpr std::string_view kProtocol = "tidemark.v1";
constexpr std::string_view kBearer = "bearer.";
constexpr auto kRefusalLinger = std::chrono::seconds(2);
constexpr auto kDrainStep = std::chrono::milliseconds(20);

std::string header(const RequestHead& head, boost::beast::http::field name) {
  const auto value = head[name];
  return {value.data(), value.size()};
}

// Closes a refused socket so that the answer arrives: sends, shuts down, reads and discards for a while.
class Refusal : public std::enable_shared_from_this<Refusal> {
 public:
  Refusal(Worker& worker, boost::asio::ip::tcp::socket socket, std::string response)
      : worker_(worker),
        socket_(std::move(socket)),
        response_(std::move(response)),
        timer_([](void* context) { static_cast<Refusal*>(context)->end(); }, this) {}

  void start() {
    keep_ = shared_from_this();
    worker_.arm(timer_, kRefusalLinger);
    boost::system::error_code error;
    socket_.non_blocking(true, error);
    // The answer is far smaller than an empty send buffer.
    socket_.send(boost::asio::buffer(response_), 0, error);
    socket_.shutdown(boost::asio::ip::tcp::socket::shutdown_send, error);
    discard();
  }

 private:
  void discard() {
    socket_.async_wait(boost::asio::ip::tcp::socket::wait_read,
                       [self = shared_from_this()](const boost::system::error_code& error) {
                         if (error || !self->keep_) {
                           return;
                         }
                         const std::span<char> buffer = self->worker_.read_buffer();
                         boost::system::error_code failed;
                         const size_t count =
                             self->socket_.receive(boost::asio::buffer(buffer.data(), buffer.size()), 0, failed);
                         if (failed == boost::asio::error::would_block || (!failed && count > 0)) {
                           self->discard();
                         } else {
                           self->end();
                         }
                       });
  }
  void end() {
    worker_.cancel(timer_);
    boost::system::error_code ignored;
    socket_.close(ignored);
    const auto last = std::move(keep_);
  }

  Worker& worker_;
  boost::asio::ip::tcp::socket socket_;
  const std::string response_;
  Timer timer_;
  std::shared_ptr<Refusal> keep_;
};

}  // namespace

// Owner: its worker. The connections that live there.
struct Gateway::Shard {
  Shard(Gateway& gateway, Worker& of)
      : self(gateway),
        worker(of),
        drain_timer([](void* context) {
          auto& shard = *static_cast<Shard*>(context);
          shard.self.drain_step(shard);
        }, this) {}

  Gateway& self;
  Worker& worker;
  std::unordered_map<stream::OutletId, std::shared_ptr<Connection>> connections;
  std::vector<stream::OutletId> to_drain;
  double drain_per_step = 0;
  double drain_credit = 0;
  Timer drain_timer;
};

struct Gateway::Admission {
  Worker& worker;
  Incoming incoming;
  Wishes wishes;
  std::string key;          // Sec-WebSocket-Key
  std::string subprotocol;  // to answer with
  std::string token;
  bool may_register = false;  // /ws: the token may come later
};

Gateway::Gateway(Parts parts, GatewayOptions options)
    : parts_(std::move(parts)),
      options_(std::move(options)),
      accepted_(parts_.metrics.counter("websocket_connections_total", "WebSocket connections accepted.")),
      active_gauge_(parts_.metrics.gauge("websocket_connections_active", "WebSocket connections now.")),
      sent_(parts_.metrics.counter("websocket_messages_sent_total", "Messages queued to clients.")),
      received_(parts_.metrics.counter("websocket_messages_received_total", "Messages from clients.")),
      resumed_(parts_.metrics.counter("tidemark_replay_outcome_total", "Replays by outcome.", {{"outcome", "resumed"}})),
      gaps_(parts_.metrics.counter("tidemark_replay_outcome_total", "Replays by outcome.", {{"outcome", "gap"}})) {
  for (int i = 0; i < parts_.workers.size(); ++i) {
    shards_.push_back(std::make_unique<Shard>(*this, parts_.workers.at(i)));
  }
}

Gateway::~Gateway() = default;

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

// The page's origin must be listed, or be this host; without the header it is no browser.
bool Gateway::origin_allowed(const RequestHead& head) const {
  const std::string origin = header(head, boost::beast::http::field::origin);
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
  auto admission = std::make_unique<Admission>(Admission{*Worker::current(), std::move(incoming), {}, {}, {}, {}, false});
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
  if (draining_.load()) {
    refuse(*admission, Error{Code::unavailable, "this node is draining", {}, 1000});
    return;
  }
  if (connections() >= options_.connections) {
    refuse(*admission, Error{Code::unavailable, "this node has as many connections as it may", {}, 5000});
    return;
  }
  auto target = parse_upgrade_target(std::string_view(head.target().data(), head.target().size()));
  if (!target.ok()) {
    refuse(*admission, target.error());
    return;
  }
  admission->may_register = target->path == "/ws";
  admission->token = std::move(target->token);
  for (const std::string_view protocol : request.subprotocols) {
    if (protocol == kProtocol) {
      admission->subprotocol = kProtocol;
    } else if (protocol.starts_with(kBearer)) {
      admission->token = std::string(protocol.substr(kBearer.size()));
    }
  }
  const std::string authorization = header(head, boost::beast::http::field::authorization);
  if (authorization.size() > 7 && boost::beast::iequals(authorization.substr(0, 7), "Bearer ")) {
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
  if (admission->token.empty() && !admission->may_register) {
    refuse(*admission, fail(Code::unauthorized));
    return;
  }
  spawn(admit(std::move(admission)));
}

// A device that the token or the session names and the query does not: the client may know nothing of devices, so it
// is not expected to say `ack`.
void Gateway::name_device(Wishes& wishes, const DeviceId& device) {
  wishes.ack_auto = wishes.auto_ack();
  wishes.device = device;
  wishes.named_device = true;
}

command::Caller Gateway::caller_of(const account::Claims& claims, const Wishes& wishes) const {
  command::Caller caller;
  caller.door = command::Door::websocket;
  caller.tenant = claims.tenant;
  caller.user = claims.user;
  caller.device = wishes.device;
  caller.session = claims.session;
  caller.admin = claims.admin;
  caller.service = claims.service;
  caller.named_device = wishes.named_device;
  caller.token_expires_at = claims.expires_at;
  caller.session_token = claims.session_token;
  return caller;
}

std::shared_ptr<Connection> Gateway::make_connection(Admission& admission, std::string_view subprotocol) {
  Worker& worker = admission.worker;
  const stream::OutletId id = next_id_.fetch_add(1);
  auto connection = std::make_shared<Connection>(*this, worker, std::move(admission.incoming.socket), id);
  shards_[static_cast<size_t>(worker.index())]->connections[id] = connection;
  accepted_.add();
  active_gauge_.add(1);
  active_.fetch_add(1);
  connection->send_raw(switching_protocols(admission.key, subprotocol));
  return connection;
}

// From a correct request to an open connection: the token, the session, then the 101 response.
Task<> Gateway::admit(std::unique_ptr<Admission> admission) {
  Worker& worker = admission->worker;
  if (admission->token.empty()) {
    auto connection = make_connection(*admission, admission->subprotocol);
    command::Caller nobody;
    nobody.client_ip = admission->incoming.client_ip;
    nobody.client_port = admission->incoming.client_port;
    connection->identify(std::move(nobody), {});
    connection->start_anonymous(std::move(admission->incoming.early_bytes), std::move(admission->wishes));
    co_return;
  }
  auto claims = parts_.account.authenticate(admission->token);
  admission->token.clear();
  if (claims.ok() && !claims->session.empty()) {
    const Status open_session =
        co_await parts_.sessions.check_open({claims->tenant, claims->user}, claims->session);
    if (!open_session.ok()) {
      claims = open_session.error();
    } else if (admission->wishes.session.empty()) {
      admission->wishes.session = claims->session;
    }
  }
  if (!claims.ok()) {
    refuse(*admission, claims.error());
    co_return;
  }
  if (!admission->wishes.named_device && !claims->device.empty()) {
    name_device(admission->wishes, claims->device);
  }
  command::Caller caller = caller_of(*claims, admission->wishes);
  caller.client_ip = admission->incoming.client_ip;
  caller.client_port = admission->incoming.client_port;
  if (!admission->wishes.session.empty()) {
    // A session that is named and not to be had is an HTTP answer.
    session::OpenRequest probe;
    probe.user = caller.key();
    probe.session = admission->wishes.session;
    const auto session = co_await parts_.sessions.open(std::move(probe));
    if (!session.ok()) {
      refuse(*admission, session.error());
      co_return;
    }
    if (!admission->wishes.named_device && session->device != DeviceId("default")) {
      name_device(admission->wishes, session->device);
      caller.device = session->device;
      caller.named_device = true;
    }
  }
  TIDEMARK_CHECK(worker.is_current());
  auto connection = make_connection(*admission, admission->subprotocol);
  connection->early = std::move(admission->incoming.early_bytes);
  connection->identify(std::move(caller), {});
  co_await open(std::move(connection), std::move(admission->wishes), false);
}

// From a known user to a live connection.
Task<> Gateway::open(std::shared_ptr<Connection> connection, Wishes wishes, bool registered) {
  command::Caller caller = connection->caller();
  session::OpenRequest request;
  request.user = caller.key();
  request.device = wishes.device;
  request.session = wishes.session;
  request.client_ip = caller.client_ip;
  request.client_port = caller.client_port;
  const auto session = co_await parts_.sessions.open(std::move(request));
  if (!session.ok()) {
    connection->close_with(session.error().code == Code::unavailable ? CloseCode::storage_unavailable
                                                                     : CloseCode::session_closed);
    co_return;
  }
  caller.session = session->id;
  caller.connection = connection->outlet_id();
  caller.worker = connection->worker().index();
  const UserKey user = caller.key();
  session::Connection entry{connection->outlet_id(), caller.worker, wishes.device, wishes.named_device, session->id,
                            wishes.only};
  caller.bucket = co_await parts_.limiter.bucket_of(user);
  connection->identify(std::move(caller), entry);
  if (!connection->open()) {
    co_return;
  }
  connection->at_home = true;
  const Status added = co_await parts_.sessions.add_connection(user, entry);
  if (!added.ok()) {
    connection->at_home = false;
    connection->close_with(CloseCode::too_many_connections);
    co_return;
  }
  const bool auto_ack = wishes.auto_ack();
  auto opening = co_await plan(user, std::move(wishes));
  if (!connection->open()) {
    co_return;  // it was replaced, or lost
  }
  if (!opening.ok()) {
    connection->close_with(CloseCode::storage_unavailable);
    co_return;
  }
  connection->go_live(std::move(*opening), auto_ack, registered);
  log_debug("gateway.connected", {{"connection", entry.id}, {"user", user.user.str()}, {"tenant", user.tenant.str()},
                                  {"device", entry.device.str()}, {"session", entry.session.str()}});
}

// What the connection follows and from where, from one snapshot of the store.
Task<Result<Gateway::Opening>> Gateway::plan(UserKey user, Wishes wishes) {
  Worker& worker = *Worker::current();
  const Status settled = co_await parts_.devices.settle(user, wishes.device);
  if (!settled.ok()) {
    co_return settled.error();
  }
  struct Snapshot {
    std::optional<stream::StreamRow> own;
    std::vector<conversation::Followable> conversations;
    device::Devices::Cursors cursors;
  };
  const Instant as_of = worker.clock().now();
  auto snapshot = co_await parts_.database.read([&](storage::Transaction& tx) -> Result<Snapshot> {
    return Snapshot{stream::find_stream(tx, device::Devices::own_key(user)),
                    parts_.conversations.followables(tx, user),
                    device::Devices::cursors(tx, user, wishes.device)};
  });
  if (snapshot.ok() && !snapshot->own) {
    // The first connection of a user makes the own stream, so that there is something to follow.
    const int64_t now_ms = parts_.clock.unix_ms();
    auto own = co_await parts_.database.write([&](storage::Transaction& tx) -> Result<stream::StreamRow> {
      device::Devices::seen(tx, user, wishes.device, now_ms);
      return device::Devices::open_own_stream(tx, user, now_ms);
    });
    if (!own.ok()) {
      co_return own.error();
    }
    snapshot->own = *own;
  }
  if (!snapshot.ok()) {
    co_return snapshot.error();
  }
  std::vector<conversation::Followable> streams;
  conversation::Followable own;
  own.key = device::Devices::own_key(user);
  own.ref = parts_.devices.own_ref(user, snapshot->own->id);
  own.head = snapshot->own->head;
  own.floor = snapshot->own->floor;
  streams.push_back(std::move(own));
  for (conversation::Followable& one : snapshot->conversations) {
    const auto cursor = snapshot->cursors.find(one.ref.id);
    const bool news = !one.deleted || (cursor != snapshot->cursors.end() && cursor->second < one.head);
    const bool wanted = wishes.only.empty() ||
                        std::find(wishes.only.begin(), wishes.only.end(), one.key.name) != wishes.only.end();
    if (news && wanted) {
      streams.push_back(std::move(one));
    }
  }
  std::vector<stream::ReplayCandidate> candidates;
  for (const conversation::Followable& one : streams) {
    stream::ReplayCandidate candidate;
    const auto cursor = snapshot->cursors.find(one.ref.id);
    if (!wishes.replay) {
      candidate.cursor = one.head;
    } else if (cursor != snapshot->cursors.end()) {
      candidate.cursor = cursor->second;
    }
    candidate.first = one.first;
    candidate.floor = one.floor;
    candidate.head = one.head;
    candidates.push_back(candidate);
  }
  const auto plans = stream::plan_replay(candidates, options_.replay);
  Opening opening;
  for (size_t i = 0; i < streams.size(); ++i) {
    const stream::PlannedReplay& planned = plans[i];
    if (planned.has_gap) {
      opening.gaps.push_back(stream::gap_frame(streams[i].key, planned.gap_after, planned.position + 1));
      gaps_.add();
    }
    if (planned.entries > 0) {
      opening.streams += 1;
      opening.entries += planned.entries;
      resumed_.add();
    }
    opening.follows.push_back({streams[i].ref, streams[i].key, streams[i].head, as_of, planned.position});
  }
  co_return opening;
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
  return door;
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
    shard->worker.post([shard, left, done] {
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
