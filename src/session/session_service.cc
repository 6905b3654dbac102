#include <algorithm>

#include "core/json.h"
#include "core/log.h"
#include "core/uuid.h"
#include "session/session.h"
#include "session/session_store.h"

namespace tidemark::session {
namespace {

using storage::Transaction;

constexpr auto kStoreActivityEvery = std::chrono::seconds(5);
constexpr auto kExpiryCheckMax = std::chrono::hours(1);
constexpr int kExpiredPerStep = 256;

bool has_session(const std::vector<Connection>& connections, const SessionId& session) {
  return std::any_of(connections.begin(), connections.end(),
                     [&](const Connection& one) { return one.session == session; });
}

}  // namespace

// Owner: its worker, which is home to the users in it.
struct Sessions::Shard {
  Shard(Sessions& sessions, Worker& of)
      : self(sessions),
        worker(of),
        activity_timer([](void* context) { static_cast<Shard*>(context)->store(); }, this),
        expiry_timer([](void* context) { spawn(static_cast<Shard*>(context)->self.expire()); }, this) {}

  void store() { spawn(self.store_activity(this)); }

  Sessions& self;
  Worker& worker;
  std::unordered_map<UserKey, std::vector<Connection>> users;
  std::unordered_map<TenantId, Online> online;
  std::unordered_map<SessionId, int64_t> activity;  // newest, not stored yet
  Timer activity_timer;
  Timer expiry_timer;  // used by the first worker only: one timer for all sessions
};

Sessions::Sessions(WorkerPool& workers, storage::Database& database, const account::Account& account,
                   const Clock& clock, Random& random, SessionOptions options, MetricRegistry& metrics)
    : workers_(workers),
      database_(database),
      account_(account),
      clock_(clock),
      random_(random),
      options_(options),
      created_(metrics.counter("session_total", "Sessions created.")),
      heartbeats_(metrics.counter("session_heartbeat_total", "Session heartbeats.")),
      active_(metrics.gauge("session_active", "Sessions with a live connection.")) {
  for (int i = 0; i < workers.size(); ++i) {
    shards_.push_back(std::make_unique<Shard>(*this, workers.at(i)));
  }
}

Sessions::~Sessions() = default;

void Sessions::set_door(ConnectionDoor door) { door_ = std::move(door); }
void Sessions::add_events(ConnectionEvents events) { events_.push_back(std::move(events)); }

void Sessions::start() {
  workers_.at(0).post([this] { spawn(expire()); });
}

Sessions::Shard& Sessions::shard_of(const UserKey& user) const {
  Worker& home = home_of(user);
  home.assert_owner();
  return *shards_[static_cast<size_t>(home.index())];
}

Task<Result<Session>> Sessions::open(OpenRequest request) {
  const int64_t now = clock_.unix_ms();
  auto found = co_await database_.read([&](Transaction& tx) -> Result<std::optional<Session>> {
    if (request.session.empty()) {
      return store::find_open(tx, request.user, request.device, now);
    }
    auto session = store::find(tx, request.session);
    if (!session || session->user != request.user) {
      return fail(Code::not_found, "no such session");
    }
    if (!session->open || session->expires_at <= now) {
      return fail(Code::gone, "the session is closed");
    }
    return session;
  });
  if (!found.ok()) {
    co_return found.error();
  }
  if (*found) {
    co_return std::move(**found);
  }
  Session fresh;
  fresh.id = SessionId(make_uuid7(clock_, random_).str());
  fresh.user = request.user;
  fresh.device = request.device;
  fresh.client_ip = request.client_ip;
  fresh.client_port = request.client_port;
  fresh.created_at = fresh.updated_at = fresh.last_activity = now;
  fresh.ttl_ms = options_->ttl.count();
  fresh.expires_at = now + fresh.ttl_ms;
  auto opened = co_await database_.write([&](Transaction& tx) -> Result<Session> {
    // Another connection of the device may have made one in the meantime.
    if (auto session = store::find_open(tx, request.user, request.device, now)) {
      return *session;
    }
    store::insert(tx, fresh, {}, 0);
    if (request.with_new) {
      request.with_new(tx);
    }
    return fresh;
  });
  if (opened.ok() && opened->id == fresh.id) {
    created_.add();
  }
  co_return opened;
}

Task<Result<Session>> Sessions::create(CreateRequest request) {
  const int64_t now = clock_.unix_ms();
  Session fresh;
  fresh.id = SessionId(make_uuid7(clock_, random_).str());
  fresh.user = request.user;
  fresh.device = request.device;
  fresh.client_ip = request.client_ip;
  fresh.client_port = request.client_port;
  fresh.metadata = request.metadata;
  fresh.created_at = fresh.updated_at = fresh.last_activity = now;
  fresh.ttl_ms = request.timeout_seconds > 0 ? std::min(request.timeout_seconds * 1000, options_->ttl_max.count())
                                             : options_->ttl.count();
  fresh.expires_at = now + fresh.ttl_ms;
  const auto hash = static_cast<int64_t>(
      hash_pair(request.device.str() + '\n' + std::to_string(request.timeout_seconds), request.metadata));
  auto made = co_await database_.write([&](Transaction& tx) -> Result<Session> {
    if (!request.client_id.empty()) {
      if (auto earlier = store::find_client_id(tx, request.user, request.client_id)) {
        if (store::hash_of(tx, earlier->id) != hash) {
          return Error{Code::conflict, "this id was used before with other fields", "id", 0};
        }
        earlier->duplicate = true;
        return *earlier;
      }
    }
    store::insert(tx, fresh, request.client_id, hash);
    return fresh;
  });
  if (made.ok() && !made->duplicate) {
    created_.add();
  }
  co_return made;
}

Task<Result<Session>> Sessions::get(UserKey user, SessionId id) {
  co_return co_await database_.read([&](Transaction& tx) -> Result<Session> {
    auto session = store::find(tx, id);
    // A service without a user sees every session of its tenant.
    if (!session || session->user.tenant != user.tenant || (!user.user.empty() && session->user != user)) {
      return fail(Code::not_found, "no such session");
    }
    if (session->expires_at <= clock_.unix_ms()) {
      session->open = false;
    }
    return *session;
  });
}

Task<Status> Sessions::check_open(UserKey user, SessionId id) {
  const auto session = co_await get(user, id);
  if (!session.ok()) {
    co_return session.error().code == Code::not_found ? fail(Code::unauthorized, "the session is closed")
                                                      : session.error();
  }
  co_return session->open ? Status() : Status(fail(Code::unauthorized, "the session is closed"));
}

Task<Status> Sessions::close(UserKey user, SessionId id) {
  Worker& from = *Worker::current();
  const int64_t now = clock_.unix_ms();
  auto closed = co_await database_.write([&](Transaction& tx) -> Result<UserKey> {
    const auto session = store::find(tx, id);
    if (!session || session->user.tenant != user.tenant || (!user.user.empty() && session->user != user)) {
      return fail(Code::not_found, "no such session");
    }
    store::close(tx, id, now);
    return session->user;
  });
  if (!closed.ok()) {
    co_return closed.error();
  }
  co_await home_of(*closed).enter();
  for (const Connection& connection : connections_of(*closed)) {
    if (connection.session == id) {
      door_.close(connection, CloseCode::session_closed);
    }
  }
  log_info("session.closed", {{"session", id.str()}, {"user", closed->user.str()}});
  co_await from.enter();
  co_return Status();
}

Task<Result<int64_t>> Sessions::last_seen(UserKey user) {
  co_return co_await database_.read(
      [&](Transaction& tx) -> Result<int64_t> { return store::last_seen(tx, user); });
}

Task<Status> Sessions::add_connection(UserKey user, Connection connection) {
  Worker& from = *Worker::current();
  co_await home_of(user).enter();
  Shard& shard = shard_of(user);
  std::vector<Connection>& connections = shard.users[user];
  Status status;
  std::vector<Connection> replaced;
  if (connection.named_device) {
    for (const Connection& other : connections) {
      if (other.named_device && other.device == connection.device) {
        replaced.push_back(other);
      }
    }
  }
  if (connections.size() - replaced.size() >= options_->connections_per_user) {
    status = fail(Code::too_large, "connection limit of the user");
  } else {
    std::erase_if(connections, [&](const Connection& other) {
      return std::any_of(replaced.begin(), replaced.end(), [&](const Connection& gone) { return gone.id == other.id; });
    });
    Online& online = shard.online[user.tenant];
    online.users += connections.empty() && replaced.empty();
    online.connections += 1 - static_cast<int64_t>(replaced.size());
    active_.add(!has_session(connections, connection.session));
    for (const Connection& old : replaced) {
      active_.add(old.session != connection.session && !has_session(connections, old.session) ? -1 : 0);
      active_.add(old.session == connection.session ? -1 : 0);
    }
    connections.push_back(connection);
    for (const Connection& old : replaced) {
      door_.close(old, CloseCode::replaced);
      for (const ConnectionEvents& events : events_) {
        events.removed(user, old, connections, CloseCode::replaced);
      }
    }
    for (const ConnectionEvents& events : events_) {
      events.added(user, connection, connections);
    }
  }
  if (connections.empty()) {
    shard.users.erase(user);
  }
  co_await from.enter();
  co_return status;
}

void Sessions::remove_connection(UserKey user, Connection connection, CloseCode code) {
  Worker& home = home_of(user);
  if (!home.is_current()) {
    home.post([this, moved = std::make_unique<std::pair<UserKey, Connection>>(std::move(user), std::move(connection)),
               code] { remove_connection(std::move(moved->first), std::move(moved->second), code); });
    return;
  }
  touch(user, connection.session);
  Shard& shard = shard_of(user);
  const auto found = shard.users.find(user);
  if (found == shard.users.end() ||
      std::erase_if(found->second, [&](const Connection& one) { return one.id == connection.id; }) == 0) {
    return;  // it was replaced
  }
  Online& online = shard.online[user.tenant];
  online.connections -= 1;
  online.users -= found->second.empty();
  active_.add(has_session(found->second, connection.session) ? 0 : -1);
  for (const ConnectionEvents& events : events_) {
    events.removed(user, connection, found->second, code);
  }
  if (found->second.empty()) {
    shard.users.erase(found);
  }
}

const std::vector<Connection>& Sessions::connections_of(const UserKey& user) const {
  static const std::vector<Connection> kNone;
  const Shard& shard = shard_of(user);
  const auto found = shard.users.find(user);
  return found == shard.users.end() ? kNone : found->second;
}

void Sessions::touch(const UserKey& user, const SessionId& id) {
  if (id.empty()) {
    return;
  }
  Worker& home = home_of(user);
  if (!home.is_current()) {
    home.post([this, moved = std::make_unique<std::pair<UserKey, SessionId>>(user, id)] {
      touch(moved->first, moved->second);
    });
    return;
  }
  Shard& shard = shard_of(user);
  shard.activity[id] = clock_.unix_ms();
  if (!shard.activity_timer.armed()) {
    home.arm(shard.activity_timer, kStoreActivityEvery);
  }
}

Task<> Sessions::store_activity(Shard* shard) {
  std::unordered_map<SessionId, int64_t> activity;
  activity.swap(shard->activity);
  const auto stored = co_await database_.write([&](Transaction& tx) -> Status {
    for (const auto& [id, at] : activity) {
      store::touch(tx, id, at);
    }
    return {};
  });
  if (!stored.ok()) {
    log_warn("session.activity_not_stored", {{"sessions", activity.size()}});
  }
}

// Closes what has expired and sleeps until the next one may. Runs on the first worker.
Task<> Sessions::expire() {
  Shard& shard = *shards_[0];
  const int64_t now = clock_.unix_ms();
  struct Found {
    std::vector<Session> expired;
    std::optional<int64_t> next;
  };
  auto found = co_await database_.read([&](Transaction& tx) -> Result<Found> {
    return Found{store::expired(tx, now, kExpiredPerStep), store::next_expiry(tx)};
  });
  std::chrono::milliseconds wait = kExpiryCheckMax;
  if (found.ok()) {
    for (const Session& session : found->expired) {
      co_await home_of(session.user).enter();
      const auto& connections = connections_of(session.user);
      const bool live = std::any_of(connections.begin(), connections.end(),
                                    [&](const Connection& one) { return one.session == session.id; });
      if (live) {
        touch(session.user, session.id);  // its frames are activity, stored with the next batch
      } else {
        // An error leaves the session expired by its time, which every reader checks; the next round tries again.
        (void)co_await close(session.user, session.id);
      }
    }
    co_await workers_.at(0).enter();
    if (!found->expired.empty()) {
      wait = kStoreActivityEvery + std::chrono::seconds(1);
    } else if (found->next) {
      wait = std::clamp<std::chrono::milliseconds>(std::chrono::milliseconds(*found->next - now + 1),
                                                   std::chrono::milliseconds(100), kExpiryCheckMax);
    }
  }
  shard.worker.arm(shard.expiry_timer, wait);
}

Task<Sessions::Online> Sessions::online(TenantId tenant) {
  Worker& from = *Worker::current();
  Online sum;
  for (int i = 0; i < workers_.size(); ++i) {
    co_await workers_.at(i).enter();
    const auto& online = shards_[static_cast<size_t>(i)]->online;
    if (const auto found = online.find(tenant); found != online.end()) {
      sum.users += found->second.users;
      sum.connections += found->second.connections;
    }
  }
  co_await from.enter();
  co_return sum;
}

Task<int64_t> Sessions::online_users() {
  Worker& from = *Worker::current();
  int64_t users = 0;
  for (const auto& shard : shards_) {
    co_await shard->worker.enter();
    users += static_cast<int64_t>(shard->users.size());
  }
  co_await from.enter();
  co_return users;
}

std::string Sessions::token_for(const Session& session, const command::Caller& maker) const {
  int64_t issued_at = clock_.unix_ms() / 1000;
  int64_t expires_at = (clock_.unix_ms() + options_->ttl_max.count()) / 1000;
  if (!maker.service && !maker.admin) {
    // A revocation that stops the user's token stops what was made with it, however late it was made.
    issued_at = std::min(issued_at, maker.token_issued_at);
    expires_at = std::min(expires_at, maker.token_expires_at);
  }
  return account_.mint_session_token(session.user, session.id, session.device, issued_at, expires_at);
}

std::string Sessions::to_json(const Session& session) const {
  const int64_t now = clock_.unix_ms();
  const bool open = session.open && session.expires_at > now;
  const bool idle = now - session.last_activity > options_->idle_after.count();
  std::string json;
  JsonWriter(json)
      .begin()
      .field("session_id", session.id.str())
      .field("id", session.id.str())
      .field("user_id", session.user.user.str())
      .field("tenant_id", session.user.tenant.str())
      .field("device_id", session.device.str())
      .field("status", open ? "active" : "inactive")
      .field("state", !open ? "closed" : idle ? "idle" : "active")
      .field("client_ip", session.client_ip)
      .field("client_port", session.client_port)
      .raw("metadata", session.metadata)
      .field("created_at", session.created_at)
      .field("updated_at", session.updated_at)
      .field("last_activity", session.last_activity)
      .field("expires_at", session.expires_at)
      .end();
  return json;
}

}  // namespace tidemark::session
