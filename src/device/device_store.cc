#include "device/device_store.h"

namespace tidemark::device {
namespace {

using storage::Sql;
using storage::Statement;
using storage::Transaction;

constexpr Sql kTables[] = {
    {"CREATE TABLE devices (tenant TEXT NOT NULL, user_id TEXT NOT NULL, device TEXT NOT NULL,"
     " last_seen BIGINT NOT NULL, PRIMARY KEY (tenant, user_id, device))"},
    {"CREATE INDEX devices_seen ON devices (last_seen)"},
    {"CREATE TABLE cursors (tenant TEXT NOT NULL, user_id TEXT NOT NULL, device TEXT NOT NULL, stream BIGINT NOT NULL,"
     " seq BIGINT NOT NULL, PRIMARY KEY (tenant, user_id, device, stream)) WITHOUT ROWID",
     "CREATE TABLE cursors (tenant TEXT NOT NULL, user_id TEXT NOT NULL, device TEXT NOT NULL, stream BIGINT NOT NULL,"
     " seq BIGINT NOT NULL, PRIMARY KEY (tenant, user_id, device, stream))"},
};
constexpr storage::Migration kList[] = {{3, "devices", kTables}};

constexpr Sql kSeen{
    "INSERT INTO devices (tenant, user_id, device, last_seen) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (tenant, user_id, device) DO UPDATE SET last_seen = excluded.last_seen"};
constexpr Sql kCursors{"SELECT stream, seq FROM cursors WHERE tenant = ? AND user_id = ? AND device = ?"};
constexpr Sql kRaise{
    "INSERT INTO cursors (tenant, user_id, device, stream, seq) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (tenant, user_id, device, stream) DO UPDATE SET seq = excluded.seq WHERE excluded.seq > cursors.seq"};
constexpr Sql kOld{"SELECT tenant, user_id, device FROM devices WHERE last_seen < ? ORDER BY last_seen LIMIT ?"};
constexpr Sql kDropCursors{"DELETE FROM cursors WHERE tenant = ? AND user_id = ? AND device = ?"};
constexpr Sql kDropDevice{"DELETE FROM devices WHERE tenant = ? AND user_id = ? AND device = ?"};
constexpr Sql kEvents{
    "SELECT seq, device, content, body, time FROM entries WHERE stream = ? AND seq > ? AND seq <= ? AND time >= ?"
    " ORDER BY seq LIMIT ?"};

}  // namespace

const std::span<const storage::Migration> kMigrations = kList;

void Devices::seen(Transaction& tx, const UserKey& user, const DeviceId& device, int64_t now_ms) {
  tx.execute(kSeen, user.tenant.str(), user.user.str(), device.str(), now_ms);
}

Devices::Cursors Devices::cursors(Transaction& tx, const UserKey& user, const DeviceId& device) {
  Cursors cursors;
  for (Statement& rows = tx.query(kCursors, user.tenant.str(), user.user.str(), device.str()); rows.next();) {
    cursors[static_cast<stream::StreamId>(rows.integer(0))] = rows.integer(1);
  }
  return cursors;
}

namespace store {

void raise_cursor(Transaction& tx, const UserKey& user, const DeviceId& device, stream::StreamId stream, int64_t seq) {
  tx.execute(kRaise, user.tenant.str(), user.user.str(), device.str(), stream, seq);
}

int64_t forget(Transaction& tx, int64_t before_ms, int limit) {
  struct Device {
    std::string tenant, user, device;
  };
  std::vector<Device> old;
  for (Statement& rows = tx.query(kOld, before_ms, limit); rows.next();) {
    old.push_back({rows.string(0), rows.string(1), rows.string(2)});
  }
  for (const Device& one : old) {
    tx.execute(kDropCursors, one.tenant, one.user, one.device);
    tx.execute(kDropDevice, one.tenant, one.user, one.device);
  }
  return static_cast<int64_t>(old.size());
}

std::vector<stream::Entry> events(Transaction& tx, stream::StreamId stream, int64_t after, int64_t since_ms,
                                  int64_t until, int64_t limit) {
  std::vector<stream::Entry> entries;
  for (Statement& rows = tx.query(kEvents, stream, after, until, since_ms, limit); rows.next();) {
    stream::Entry entry;
    entry.seq = rows.integer(0);
    entry.device = rows.string(1);
    entry.content = rows.string(2);
    entry.body = rows.string(3);
    entry.time_ms = rows.integer(4);
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace store
}  // namespace tidemark::device
