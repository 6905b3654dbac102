#include "session/session_store.h"

namespace tidemark::session {
namespace {

using storage::Sql;
using storage::Statement;
using storage::Transaction;

constexpr Sql kTables[] = {
    {"CREATE TABLE sessions (id TEXT PRIMARY KEY, tenant TEXT NOT NULL, user_id TEXT NOT NULL, device TEXT NOT NULL,"
     " open INTEGER NOT NULL, client_ip TEXT NOT NULL, client_port INTEGER NOT NULL, metadata TEXT NOT NULL,"
     " created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, last_activity BIGINT NOT NULL,"
     " expires_at BIGINT NOT NULL, ttl_ms BIGINT NOT NULL, client_id TEXT, hash BIGINT NOT NULL)"},
    {"CREATE INDEX sessions_user ON sessions (tenant, user_id, device)"},
    {"CREATE UNIQUE INDEX sessions_client ON sessions (tenant, user_id, client_id) WHERE client_id IS NOT NULL"},
    {"CREATE INDEX sessions_expiry ON sessions (expires_at) WHERE open = 1"},
};
constexpr storage::Migration kList[] = {{2, "sessions", kTables}};

#define SESSION_COLUMNS                                                                                        \
  "id, tenant, user_id, device, open, client_ip, client_port, metadata, created_at, updated_at, last_activity," \
  " expires_at, ttl_ms"

constexpr Sql kFind{"SELECT " SESSION_COLUMNS " FROM sessions WHERE id = ?"};
constexpr Sql kFindOpen{"SELECT " SESSION_COLUMNS
                        " FROM sessions WHERE tenant = ? AND user_id = ? AND device = ? AND open = 1 AND expires_at > ?"
                        " ORDER BY created_at DESC LIMIT 1"};
constexpr Sql kFindClientId{"SELECT " SESSION_COLUMNS
                            " FROM sessions WHERE tenant = ? AND user_id = ? AND client_id = ?"};
constexpr Sql kInsert{"INSERT INTO sessions (" SESSION_COLUMNS
                      ", client_id, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"};
constexpr Sql kHash{"SELECT hash FROM sessions WHERE id = ?"};
constexpr Sql kSetMetadata{"UPDATE sessions SET metadata = ?, updated_at = ? WHERE id = ?"};
constexpr Sql kTouch{
    "UPDATE sessions SET last_activity = ?, expires_at = max(expires_at, ? + ttl_ms) WHERE id = ? AND open = 1"
    " AND last_activity < ?",
    "UPDATE sessions SET last_activity = $1, expires_at = greatest(expires_at, $2 + ttl_ms) WHERE id = $3 AND open = 1"
    " AND last_activity < $4"};
constexpr Sql kClose{"UPDATE sessions SET open = 0, updated_at = ? WHERE id = ? AND open = 1"};
constexpr Sql kList_{"SELECT " SESSION_COLUMNS
                     " FROM sessions WHERE tenant = ? AND user_id = ? ORDER BY created_at DESC, id LIMIT ? OFFSET ?"};
constexpr Sql kListOpen{"SELECT " SESSION_COLUMNS
                        " FROM sessions WHERE tenant = ? AND user_id = ? AND open = 1 AND expires_at > ?"
                        " ORDER BY created_at DESC, id LIMIT ? OFFSET ?"};
constexpr Sql kListClosed{"SELECT " SESSION_COLUMNS
                          " FROM sessions WHERE tenant = ? AND user_id = ? AND (open = 0 OR expires_at <= ?)"
                          " ORDER BY created_at DESC, id LIMIT ? OFFSET ?"};
constexpr Sql kCount{"SELECT count(*) FROM sessions WHERE tenant = ? AND user_id = ?"};
constexpr Sql kCountOpen{
    "SELECT count(*) FROM sessions WHERE tenant = ? AND user_id = ? AND open = 1 AND expires_at > ?"};
constexpr Sql kExpired{"SELECT " SESSION_COLUMNS " FROM sessions WHERE open = 1 AND expires_at <= ? LIMIT ?"};
constexpr Sql kNextExpiry{"SELECT min(expires_at) FROM sessions WHERE open = 1"};
constexpr Sql kLastSeen{"SELECT max(last_activity) FROM sessions WHERE tenant = ? AND user_id = ?"};

Session read(Statement& row) {
  Session session;
  session.id = SessionId(row.string(0));
  session.user = {TenantId(row.string(1)), UserId(row.string(2))};
  session.device = DeviceId(row.string(3));
  session.open = row.integer(4) != 0;
  session.client_ip = row.string(5);
  session.client_port = static_cast<int>(row.integer(6));
  session.metadata = row.string(7);
  session.created_at = row.integer(8);
  session.updated_at = row.integer(9);
  session.last_activity = row.integer(10);
  session.expires_at = row.integer(11);
  session.ttl_ms = row.integer(12);
  return session;
}

std::optional<Session> one(Statement& rows) { return rows.next() ? std::optional(read(rows)) : std::nullopt; }

std::vector<Session> all(Statement& rows) {
  std::vector<Session> sessions;
  while (rows.next()) {
    sessions.push_back(read(rows));
  }
  return sessions;
}

int64_t number(Statement& rows) { return rows.next() ? rows.integer(0) : 0; }

}  // namespace

const std::span<const storage::Migration> kMigrations = kList;

namespace store {

std::optional<Session> find(Transaction& tx, const SessionId& id) { return one(tx.query(kFind, id.str())); }

std::optional<Session> find_open(Transaction& tx, const UserKey& user, const DeviceId& device, int64_t now_ms) {
  return one(tx.query(kFindOpen, user.tenant.str(), user.user.str(), device.str(), now_ms));
}

std::optional<Session> find_client_id(Transaction& tx, const UserKey& user, std::string_view client_id) {
  return one(tx.query(kFindClientId, user.tenant.str(), user.user.str(), client_id));
}

void insert(Transaction& tx, const Session& s, std::string_view client_id, int64_t hash) {
  const auto key = client_id.empty() ? std::nullopt : std::optional(client_id);
  tx.execute(kInsert, s.id.str(), s.user.tenant.str(), s.user.user.str(), s.device.str(), s.open, s.client_ip,
             s.client_port, s.metadata, s.created_at, s.updated_at, s.last_activity, s.expires_at, s.ttl_ms, key, hash);
}

std::optional<int64_t> hash_of(Transaction& tx, const SessionId& id) {
  Statement& rows = tx.query(kHash, id.str());
  return rows.next() ? std::optional(rows.integer(0)) : std::nullopt;
}

void set_metadata(Transaction& tx, const SessionId& id, std::string_view metadata, int64_t now_ms) {
  tx.execute(kSetMetadata, metadata, now_ms, id.str());
}

void touch(Transaction& tx, const SessionId& id, int64_t activity_ms) {
  tx.execute(kTouch, activity_ms, activity_ms, id.str(), activity_ms);
}

bool close(Transaction& tx, const SessionId& id, int64_t now_ms) { return tx.execute(kClose, now_ms, id.str()) > 0; }

std::vector<Session> list(Transaction& tx, const UserKey& user, std::optional<bool> open, int64_t now_ms, int64_t offset,
                          int64_t limit) {
  if (!open) {
    return all(tx.query(kList_, user.tenant.str(), user.user.str(), limit, offset));
  }
  return all(tx.query(*open ? kListOpen : kListClosed, user.tenant.str(), user.user.str(), now_ms, limit, offset));
}

int64_t count(Transaction& tx, const UserKey& user, std::optional<bool> open, int64_t now_ms) {
  const int64_t every = number(tx.query(kCount, user.tenant.str(), user.user.str()));
  if (!open) {
    return every;
  }
  const int64_t open_ones = number(tx.query(kCountOpen, user.tenant.str(), user.user.str(), now_ms));
  return *open ? open_ones : every - open_ones;
}

std::vector<Session> expired(Transaction& tx, int64_t now_ms, int limit) { return all(tx.query(kExpired, now_ms, limit)); }

std::optional<int64_t> next_expiry(Transaction& tx) {
  Statement& rows = tx.query(kNextExpiry);
  return rows.next() && !rows.is_null(0) ? std::optional(rows.integer(0)) : std::nullopt;
}

int64_t last_seen(Transaction& tx, const UserKey& user) {
  return number(tx.query(kLastSeen, user.tenant.str(), user.user.str()));
}

}  // namespace store
}  // namespace tidemark::session
