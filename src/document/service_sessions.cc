// Sessions and connections: whose they are, and what their end means for locks and subscriptions.
#include <algorithm>

#include "document/service.h"

namespace tidemark::document {
namespace {

constexpr size_t kSessionsSeen = 10'000;

std::string session_name(const TenantId& tenant, std::string_view session) {
  return tenant.str() + '\0' + std::string(session);
}

}  // namespace

Task<Status> Service::check_session(Caller caller, std::string session) {
  constexpr size_t kUuidChars = 36;
  // Sessions of SessionService have ids of our making; every other name is the client's own.
  if (session.size() != kUuidChars || session == caller.session.str() || (caller.service && caller.user.empty())) {
    co_return Status();
  }
  Shard& here = *shards_[static_cast<size_t>(Worker::current()->index())];
  const std::string name = session_name(caller.tenant, session);
  if (here.sessions.size() >= kSessionsSeen) {
    std::erase_if(here.sessions, [](const auto& one) { return one.second.use_count() == 1; });
  }
  auto& slot = here.sessions[name];
  if (!slot) {
    slot = std::make_shared<Shard::SeenSession>();
  }
  const std::shared_ptr<Shard::SeenSession> seen = slot;
  look_for_unused(here);
  if (!seen->known || seen->gate.busy()) {
    const Gate::Pass pass = co_await seen->gate.enter();
    if (!seen->known) {
      const auto found = co_await sessions_.get(UserKey(caller.tenant, UserId()), SessionId(session));
      if (!found.ok() && found.error().code != Code::not_found) {
        co_return found.error();
      }
      seen->known = true;
      seen->user = found.ok() ? found->user : UserKey();
      seen->open = found.ok() && found->open;
      seen->seen_at = here.worker.now();
    }
  }
  if (seen->user.user.empty()) {
    co_return Status();
  }
  if (seen->user.user != caller.user) {
    co_return Error{Code::not_found, "no such session", "session_id", 0};
  }
  co_return seen->open ? Status() : Status(Error{Code::gone, "the session is closed", "session_id", 0});
}

// Which documents a session's end or connections concern: those that it holds locked or waits for.
void Service::bind(LiveDocument& live, const std::string& session) {
  shard_of(live).bound.emplace(session_name(live.key.tenant, session), &live);
  bound_.fetch_add(1, std::memory_order_relaxed);
}

void Service::unbind(LiveDocument& live, const std::string& session) {
  auto& bound = shard_of(live).bound;
  const auto [first, last] = bound.equal_range(session_name(live.key.tenant, session));
  const auto found = std::find_if(first, last, [&](const auto& one) { return one.second == &live; });
  if (found != last) {
    bound.erase(found);
    bound_.fetch_sub(1, std::memory_order_relaxed);
  }
}

std::vector<LivePtr> Service::bound_to(Shard& shard, const TenantId& tenant, const std::string& session) {
  std::vector<LivePtr> all;
  const auto [first, last] = shard.bound.equal_range(session_name(tenant, session));
  for (auto it = first; it != last; ++it) {
    all.push_back(it->second->shared_from_this());
  }
  return all;
}

template <class F>
void Service::on_every_shard(F function) {
  for (const auto& one : shards_) {
    Shard* const shard = one.get();
    shard->worker.post([function, shard] { function(*shard); });
  }
}

void Service::session_ended(const UserKey& user, const SessionId& session) {
  const auto ended = std::make_shared<const std::pair<UserKey, std::string>>(user, session.str());
  on_every_shard([this, ended](Shard& shard) {
    const auto& [of, name] = *ended;
    if (const auto found = shard.sessions.find(session_name(of.tenant, name)); found != shard.sessions.end()) {
      found->second->open = false;
    }
    for (const LivePtr& live : bound_to(shard, of.tenant, name)) {
      drop_waiters(*live, of.user, name);
      if (live->loaded && live->exists && holds(*live, of.user.str(), name)) {
        release(*live, "session_closed", false, of.user.str());
      }
    }
  });
}

void Service::session_alive(const UserKey& user, const SessionId& session) {
  if (bound_.load(std::memory_order_relaxed) == 0) {
    return;
  }
  const auto alive = std::make_shared<const std::pair<UserKey, std::string>>(user, session.str());
  on_every_shard([this, alive](Shard& shard) {
    for (const LivePtr& live : bound_to(shard, alive->first.tenant, alive->second)) {
      if (live->loaded && live->exists && holds(*live, alive->first.user.str(), alive->second)) {
        renew(*live, live->details.lock_ttl_ms);
      }
    }
  });
}

// On the user's home: a connection came or went.
void Service::connection_changed(const UserKey& user, const session::Connection& connection, bool gone,
                                 bool session_gone) {
  if (bound_.load(std::memory_order_relaxed) == 0) {
    return;
  }
  struct News {
    UserKey user;
    std::string session;
    uint64_t connection;
    bool gone;
    bool session_gone;
  };
  const auto news = std::make_shared<const News>(News{user, connection.session.str(), connection.id, gone, session_gone});
  on_every_shard([this, news](Shard& shard) {
    if (news->gone) {
      shard.followed.erase(news->connection);
      const auto found = shard.following.find(news->connection);
      const std::set<DocumentKey> followed = found == shard.following.end() ? std::set<DocumentKey>() : found->second;
      for (const DocumentKey& key : followed) {
        remove_subscriber(*shard.documents.at(key), news->connection);
      }
    }
    for (const LivePtr& live : bound_to(shard, news->user.tenant, news->session)) {
      if (news->session_gone) {
        drop_waiters(*live, news->user.user, news->session);
      }
      if (!live->loaded || !live->exists || !holds(*live, news->user.user.str(), news->session)) {
        continue;
      }
      if (!news->gone) {
        live->holder_gone_until.reset();
      } else if (news->session_gone) {
        live->holder_gone_until = shard.worker.now() + options_.lock_grace;
      }
      arm_lock(*live);
    }
  });
}

void Service::drop_waiters(LiveDocument& live, const UserId& user, const std::string& session) {
  for (auto it = live.waiters.begin(); it != live.waiters.end();) {
    LockWaiter* const waiter = *it++;
    if (waiter->session == session && waiter->user == user) {
      waiter->leave();
    }
  }
}

}  // namespace tidemark::document
