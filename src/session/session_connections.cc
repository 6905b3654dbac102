// Live connections of users, and what they show: activity, who is online.
#include <algorithm>

#include "core/log.h"
#include "session/session_parts.h"
#include "session/session_store.h"

namespace tidemark::session {
namespace {

using storage::Transaction;

bool has_session(const std::vector<Connection>& connections, const SessionId& session) {
  return std::any_of(connections.begin(), connections.end(),
                     [&](const Connection& one) { return one.session == session; });
}

}  // namespace

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
  for (const SessionEvents& events : session_events_) {
    events.alive(user, id);
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

}  // namespace tidemark::session
