// What is asked about sessions on every door: lists, changes, heartbeats, the live connection.
#include <map>

#include "core/json.h"
#include "session/session.h"
#include "session/session_store.h"

namespace tidemark::session {
namespace {

using storage::Transaction;

bool is_of(const Session& session, const UserKey& owner) {
  return session.user.tenant == owner.tenant && (owner.user.empty() || session.user == owner);
}

// The open session of this owner, else why not.
Result<Session> find_open(Transaction& tx, const UserKey& owner, const SessionId& id, int64_t now_ms) {
  auto found = store::find(tx, id);
  if (!found || !is_of(*found, owner)) {
    return fail(Code::not_found, "no such session");
  }
  if (!found->open || found->expires_at <= now_ms) {
    return fail(Code::gone, "the session is closed");
  }
  return *std::move(found);
}

// Members of `update` replace those of `base`; an empty value removes its member. Both are objects of strings.
std::string merged(const std::string& base, const std::string& update) {
  simdjson::dom::parser base_parser;
  simdjson::dom::parser update_parser;
  simdjson::dom::object old_object;
  simdjson::dom::object new_object;
  TIDEMARK_CHECK(base_parser.parse(base).get(old_object) == simdjson::SUCCESS);
  TIDEMARK_CHECK(update_parser.parse(update).get(new_object) == simdjson::SUCCESS);
  std::map<std::string, std::string> members;
  for (const auto& [name, value] : old_object) {
    members[std::string(name)] = std::string(value.get_string().value_unsafe());
  }
  for (const auto& [name, value] : new_object) {
    members[std::string(name)] = std::string(value.get_string().value_unsafe());
  }
  std::string json = "{";
  for (const auto& [name, value] : members) {
    if (value.empty()) {
      continue;
    }
    json += json.size() > 1 ? "," : "";
    append_json_string(json, name);
    json += ':';
    append_json_string(json, value);
  }
  return json + "}";
}

// What an update changes in the store. Its end follows when this is committed.
Result<Session> change(Transaction& tx, const UpdateRequest& request, int64_t now_ms) {
  auto found = find_open(tx, request.owner, request.id, now_ms);
  if (!found.ok()) {
    return found;
  }
  if (!request.metadata.empty()) {
    const std::string metadata = merged(found->metadata, request.metadata);
    if (metadata.size() > Sessions::kMetadataBytes) {
      return invalid_field("metadata", "longer than 8192 bytes together with what is there");
    }
    store::set_metadata(tx, request.id, metadata, now_ms);
  }
  if (request.stats) {
    store::set_stats(tx, request.id, *request.stats, now_ms);
  }
  if (request.state == State::active) {
    store::set_told(tx, request.id, State::unsaid, now_ms);
    store::touch(tx, request.id, now_ms);
  } else if (request.state != State::unsaid) {
    store::set_told(tx, request.id, request.state, now_ms);
  }
  return *store::find(tx, request.id);
}

}  // namespace

std::string_view name_of(State state) {
  switch (state) {
    case State::unsaid:
      return "";
    case State::connecting:
      return "connecting";
    case State::active:
      return "active";
    case State::idle:
      return "idle";
    case State::disconnecting:
      return "disconnecting";
    case State::closed:
      return "closed";
  }
  return "";
}

State Sessions::state_of(const Session& session) const {
  const int64_t now = clock_.unix_ms();
  if (!session.open || session.expires_at <= now) {
    return State::closed;
  }
  if (session.told != State::unsaid && session.last_activity <= session.told_at) {
    return session.told;
  }
  return session.last_activity < now - options_->idle_after.count() ? State::idle : State::active;
}

Task<Result<SessionPage>> Sessions::list(ListRequest request) {
  const int64_t now = clock_.unix_ms();
  const int64_t idle_before = now - options_->idle_after.count();
  co_return co_await database_.read(
      [&](Transaction& tx) -> Result<SessionPage> { return store::list(tx, request, now, idle_before); });
}

Task<Result<Session>> Sessions::update(UpdateRequest request) {
  const int64_t now = clock_.unix_ms();
  auto changed = co_await database_.write([&](Transaction& tx) -> Result<Session> { return change(tx, request, now); });
  if (!changed.ok() || request.state != State::closed) {
    co_return changed;
  }
  const Status closed = co_await close(request.owner, request.id);
  if (!closed.ok()) {
    co_return closed.error();
  }
  changed->open = false;
  co_return changed;
}

Task<Result<Session>> Sessions::heartbeat(UserKey user, SessionId id) {
  const int64_t now = clock_.unix_ms();
  auto kept = co_await database_.write([&](Transaction& tx) -> Result<Session> {
    auto found = find_open(tx, user, id, now);
    if (!found.ok()) {
      return found;
    }
    store::touch(tx, id, now);
    return *store::find(tx, id);
  });
  if (kept.ok()) {
    heartbeats_.add();
    touch(kept->user, id);  // tells those who hold something for as long as the session is alive
  }
  co_return kept;
}

Task<std::optional<ConnectionReport>> Sessions::live(UserKey user, SessionId id) {
  Worker& from = *Worker::current();
  co_await home_of(user).enter();
  std::optional<Connection> newest;
  for (const Connection& connection : connections_of(user)) {
    if (connection.session == id) {
      newest = connection;
    }
  }
  co_await from.enter();
  if (!newest || !door_.report) {
    co_return std::nullopt;
  }
  co_return co_await door_.report(std::move(*newest));
}

}  // namespace tidemark::session
