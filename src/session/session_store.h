// Sessions in the database. Private to the session room.
#pragma once

#include <optional>
#include <vector>

#include "session/session.h"

namespace tidemark::session::store {

std::optional<Session> find(storage::Transaction& tx, const SessionId& id);
std::optional<Session> find_open(storage::Transaction& tx, const UserKey& user, const DeviceId& device, int64_t now_ms);
std::optional<Session> find_client_id(storage::Transaction& tx, const UserKey& user, std::string_view client_id);
void insert(storage::Transaction& tx, const Session& session, std::string_view client_id, int64_t hash);
std::optional<int64_t> hash_of(storage::Transaction& tx, const SessionId& id);
void set_metadata(storage::Transaction& tx, const SessionId& id, std::string_view metadata, int64_t now_ms);
void touch(storage::Transaction& tx, const SessionId& id, int64_t activity_ms);
void set_told(storage::Transaction& tx, const SessionId& id, State state, int64_t now_ms);
void set_stats(storage::Transaction& tx, const SessionId& id, const Stats& stats, int64_t now_ms);
// False if it was not open.
bool close(storage::Transaction& tx, const SessionId& id, int64_t now_ms);
// `idle_before`: a session whose last activity is older is idle.
SessionPage list(storage::Transaction& tx, const ListRequest& request, int64_t now_ms, int64_t idle_before);
std::vector<Session> expired(storage::Transaction& tx, int64_t now_ms, int limit);
std::optional<int64_t> next_expiry(storage::Transaction& tx);
int64_t last_seen(storage::Transaction& tx, const UserKey& user);

}  // namespace tidemark::session::store
