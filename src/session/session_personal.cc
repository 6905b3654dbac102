// What the session room keeps about one user: for the export and the erasure of that user.
#include "core/json.h"
#include "session/session.h"
#include "session/session_store.h"

namespace tidemark::session {
namespace {

using storage::Sql;
using storage::Statement;
using storage::Transaction;

constexpr int kRowsPerPage = 200;
constexpr int kRowsPerStep = 100;

constexpr Sql kPage{
    "SELECT id, device, open, client_ip, client_port, metadata, created_at, updated_at, last_activity, expires_at,"
    " stats FROM sessions WHERE tenant = ? AND user_id = ? AND id > ? ORDER BY id LIMIT ?"};
constexpr Sql kOpen{"SELECT id FROM sessions WHERE tenant = ? AND user_id = ? AND open = 1"};
constexpr Sql kCloseAll{"UPDATE sessions SET open = 0, updated_at = ? WHERE tenant = ? AND user_id = ? AND open = 1"};
constexpr Sql kForget{
    "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE tenant = ? AND user_id = ? LIMIT ?)"};

storage::PersonalPage read_page(Transaction& tx, const UserKey& user, const std::string& position) {
  storage::PersonalPage page;
  for (Statement& row = tx.query(kPage, user.tenant.str(), user.user.str(), position, kRowsPerPage); row.next();) {
    JsonWriter(page.rows.emplace_back())
        .begin()
        .field("session_id", row.text(0))
        .field("device_id", row.text(1))
        .field("open", row.integer(2) != 0)
        .field("client_ip", row.text(3))
        .field("client_port", row.integer(4))
        .raw("metadata", row.text(5))
        .field("created_at", row.integer(6))
        .field("updated_at", row.integer(7))
        .field("last_activity", row.integer(8))
        .field("expires_at", row.integer(9))
        .raw("stats", row.text(10))
        .end();
    page.next = row.string(0);
  }
  if (page.rows.size() < kRowsPerPage) {
    page.next.clear();
  }
  return page;
}

}  // namespace

std::vector<storage::PersonalPart> Sessions::personal_parts() { return {{"sessions", read_page}}; }

Task<Status> Sessions::close_all(UserKey user) {
  const int64_t now = clock_.unix_ms();
  const auto closed = co_await database_.write([&](Transaction& tx) -> Result<std::vector<SessionId>> {
    std::vector<SessionId> open;
    for (Statement& row = tx.query(kOpen, user.tenant.str(), user.user.str()); row.next();) {
      open.emplace_back(row.string(0));
    }
    tx.execute(kCloseAll, now, user.tenant.str(), user.user.str());
    return open;
  });
  if (!closed.ok()) {
    co_return closed.error();
  }
  co_await home_of(user).enter();
  for (const SessionId& id : *closed) {
    for (const SessionEvents& events : session_events_) {
      events.ended(user, id);
    }
  }
  for (const Connection& connection : connections_of(user)) {
    door_.close(connection, CloseCode::session_closed);
  }
  co_return Status();
}

Result<int64_t> Sessions::forget_some(Transaction& tx, const UserKey& user) {
  return tx.execute(kForget, user.tenant.str(), user.user.str(), kRowsPerStep);
}

}  // namespace tidemark::session
