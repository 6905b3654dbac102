#include "session/session_store.h"

#include "core/json.h"

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
constexpr Sql kToldColumns[] = {
    {"ALTER TABLE sessions ADD COLUMN told INTEGER NOT NULL DEFAULT 0"},
    {"ALTER TABLE sessions ADD COLUMN told_at BIGINT NOT NULL DEFAULT 0"},
    {"ALTER TABLE sessions ADD COLUMN stats TEXT NOT NULL DEFAULT '{}'"},
};
constexpr storage::Migration kList[] = {{2, "sessions", kTables}, {20, "session_told", kToldColumns}};

#define SESSION_COLUMNS                                                                                        \
  "id, tenant, user_id, device, open, client_ip, client_port, metadata, created_at, updated_at, last_activity," \
  " expires_at, ttl_ms, told, told_at, stats"
// Sessions::state_of() in SQL: of the time, and of the time since which a session without activity is idle.
#define SESSION_STATE                                                                           \
  "(CASE WHEN open = 0 OR expires_at <= ? THEN 5 WHEN told > 0 AND last_activity <= told_at THEN told" \
  " WHEN last_activity < ? THEN 3 ELSE 2 END)"

constexpr Sql kFind{"SELECT " SESSION_COLUMNS " FROM sessions WHERE id = ?"};
constexpr Sql kFindOpen{"SELECT " SESSION_COLUMNS
                        " FROM sessions WHERE tenant = ? AND user_id = ? AND device = ? AND open = 1 AND expires_at > ?"
                        " ORDER BY created_at DESC LIMIT 1"};
constexpr Sql kFindClientId{"SELECT " SESSION_COLUMNS
                            " FROM sessions WHERE tenant = ? AND user_id = ? AND client_id = ?"};
constexpr Sql kInsert{"INSERT INTO sessions (" SESSION_COLUMNS
                      ", client_id, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, '{}', ?, ?)"};
constexpr Sql kHash{"SELECT hash FROM sessions WHERE id = ?"};
constexpr Sql kSetMetadata{"UPDATE sessions SET metadata = ?, updated_at = ? WHERE id = ?"};
constexpr Sql kTouch{
    "UPDATE sessions SET last_activity = ?, expires_at = max(expires_at, ? + ttl_ms) WHERE id = ? AND open = 1"
    " AND last_activity < ?",
    "UPDATE sessions SET last_activity = $1, expires_at = greatest(expires_at, $2 + ttl_ms) WHERE id = $3 AND open = 1"
    " AND last_activity < $4"};
constexpr Sql kClose{"UPDATE sessions SET open = 0, updated_at = ? WHERE id = ? AND open = 1"};
constexpr Sql kSetTold{"UPDATE sessions SET told = ?, told_at = ?, updated_at = ? WHERE id = ?"};
constexpr Sql kSetStats{"UPDATE sessions SET stats = ?, updated_at = ? WHERE id = ?"};
constexpr Sql kOfUser{"SELECT " SESSION_COLUMNS " FROM sessions WHERE tenant = ? AND user_id = ? AND " SESSION_STATE
                      " BETWEEN ? AND ? ORDER BY created_at DESC, id LIMIT ? OFFSET ?"};
constexpr Sql kCountOfUser{"SELECT count(*) FROM sessions WHERE tenant = ? AND user_id = ? AND " SESSION_STATE
                           " BETWEEN ? AND ?"};
constexpr Sql kOfTenant{"SELECT " SESSION_COLUMNS " FROM sessions WHERE tenant = ? AND " SESSION_STATE
                        " BETWEEN ? AND ? ORDER BY created_at DESC, id LIMIT ? OFFSET ?"};
constexpr Sql kCountOfTenant{"SELECT count(*) FROM sessions WHERE tenant = ? AND " SESSION_STATE " BETWEEN ? AND ?"};
constexpr Sql kExpired{"SELECT " SESSION_COLUMNS " FROM sessions WHERE open = 1 AND expires_at <= ? LIMIT ?"};
constexpr Sql kNextExpiry{"SELECT min(expires_at) FROM sessions WHERE open = 1"};
constexpr Sql kLastSeen{"SELECT max(last_activity) FROM sessions WHERE tenant = ? AND user_id = ?"};

std::string to_json(const Stats& stats) {
  std::string json;
  JsonWriter(json)
      .begin()
      .field("packets_sent", stats.packets_sent)
      .field("packets_received", stats.packets_received)
      .field("bytes_sent", stats.bytes_sent)
      .field("bytes_received", stats.bytes_received)
      .field("retransmissions", stats.retransmissions)
      .field("current_rtt_ms", stats.current_rtt_ms)
      .end();
  return json;
}

Stats read_stats(std::string_view json) {
  Stats stats;
  if (json == "{}") {
    return stats;  // of nearly all
  }
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  TIDEMARK_CHECK(parser.parse(simdjson::padded_string(json)).get(object) == simdjson::SUCCESS);
  const auto number = [&object](std::string_view name) {
    int64_t value = 0;
    return object[name].get(value) == simdjson::SUCCESS ? value : 0;
  };
  stats.packets_sent = number("packets_sent");
  stats.packets_received = number("packets_received");
  stats.bytes_sent = number("bytes_sent");
  stats.bytes_received = number("bytes_received");
  stats.retransmissions = number("retransmissions");
  stats.current_rtt_ms = number("current_rtt_ms");
  return stats;
}

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
  session.told = static_cast<State>(row.integer(13));
  session.told_at = row.integer(14);
  session.stats = read_stats(row.text(15));
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

void set_told(Transaction& tx, const SessionId& id, State state, int64_t now_ms) {
  tx.execute(kSetTold, state, now_ms, now_ms, id.str());
}

void set_stats(Transaction& tx, const SessionId& id, const Stats& stats, int64_t now_ms) {
  const std::string json = to_json(stats);
  tx.execute(kSetStats, json, now_ms, id.str());
}

SessionPage list(Transaction& tx, const ListRequest& request, int64_t now_ms, int64_t idle_before) {
  const std::string& tenant = request.owner.tenant.str();
  const std::string& user = request.owner.user.str();
  const int64_t offset = (request.page - 1) * request.page_size;
  SessionPage page;
  if (user.empty()) {
    page.sessions = all(tx.query(kOfTenant, tenant, now_ms, idle_before, request.first, request.last,
                                 request.page_size, offset));
    page.total = number(tx.query(kCountOfTenant, tenant, now_ms, idle_before, request.first, request.last));
  } else {
    page.sessions = all(tx.query(kOfUser, tenant, user, now_ms, idle_before, request.first, request.last,
                                 request.page_size, offset));
    page.total = number(tx.query(kCountOfUser, tenant, user, now_ms, idle_before, request.first, request.last));
  }
  return page;
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
