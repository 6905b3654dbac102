#include <algorithm>

#include "core/json.h"
#include "core/log.h"
#include "core/uuid.h"
#include "session/session_parts.h"
#include "session/session_store.h"

namespace tidemark::session {
namespace {

using storage::Transaction;

constexpr auto kExpiryCheckMax = std::chrono::hours(1);
constexpr int kExpiredPerStep = 256;

// Of an OpenRequest or a CreateRequest.
template <class Request>
Session fresh_session(const Request& request, const Uuid& id, int64_t now, int64_t ttl_ms) {
  Session fresh;
  fresh.id = SessionId(id.str());
  fresh.user = request.user;
  fresh.device = request.device;
  fresh.client_ip = request.client_ip;
  fresh.client_port = request.client_port;
  fresh.created_at = fresh.updated_at = fresh.last_activity = now;
  fresh.ttl_ms = ttl_ms;
  fresh.expires_at = now + ttl_ms;
  return fresh;
}

}  // namespace

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

void Sessions::add_session_events(SessionEvents events) { session_events_.push_back(std::move(events)); }

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
  const Session fresh = fresh_session(request, make_uuid7(clock_, random_), now, options_->ttl.count());
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
  const int64_t ttl_ms = request.timeout_seconds > 0
                             ? std::min<int64_t>(request.timeout_seconds * 1000, options_->ttl_max.count())
                             : options_->ttl.count();
  Session fresh = fresh_session(request, make_uuid7(clock_, random_), now, ttl_ms);
  fresh.metadata = request.metadata;
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

Task<Result<account::Claims>> Sessions::authenticate(std::string token) {
  auto claims = account_.authenticate(token);
  if (claims.ok() && !claims->session.empty()) {
    const UserKey owner{claims->tenant, claims->user};
    const Status open = co_await check_open(owner, claims->session);
    if (!open.ok()) {
      co_return open.error();
    }
    touch(owner, claims->session);
  }
  co_return claims;
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
  for (const SessionEvents& events : session_events_) {
    events.ended(*closed, id);
  }
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
  const State state = state_of(session);
  std::string json;
  JsonWriter(json)
      .begin()
      .field("session_id", session.id.str())
      .field("id", session.id.str())
      .field("user_id", session.user.user.str())
      .field("tenant_id", session.user.tenant.str())
      .field("device_id", session.device.str())
      .field("status", state < State::disconnecting ? "active" : "inactive")
      .field("state", name_of(state))
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
