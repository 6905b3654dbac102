#include "stream/store.h"

#include "core/seeded_fault.h"

namespace tidemark::stream {
namespace {

using storage::Sql;
using storage::Statement;
using storage::Transaction;

constexpr Sql kTables[] = {
    {"CREATE TABLE store (name TEXT PRIMARY KEY, value TEXT NOT NULL)"},
    {"CREATE TABLE streams (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, kind INTEGER NOT NULL, name TEXT NOT NULL,"
     " head INTEGER NOT NULL, counted INTEGER NOT NULL, floor INTEGER NOT NULL, updated_at INTEGER NOT NULL,"
     " UNIQUE (tenant, kind, name))",
     "CREATE TABLE streams (id BIGSERIAL PRIMARY KEY, tenant TEXT NOT NULL, kind INTEGER NOT NULL, name TEXT NOT NULL,"
     " head BIGINT NOT NULL, counted BIGINT NOT NULL, floor BIGINT NOT NULL, updated_at BIGINT NOT NULL,"
     " UNIQUE (tenant, kind, name))"},
    {"CREATE TABLE entries (stream INTEGER NOT NULL, seq INTEGER NOT NULL, kind INTEGER NOT NULL,"
     " ordinal INTEGER NOT NULL, author TEXT NOT NULL, device TEXT NOT NULL, client_id TEXT, hash INTEGER NOT NULL,"
     " time INTEGER NOT NULL, body TEXT NOT NULL, content TEXT NOT NULL, PRIMARY KEY (stream, seq)) WITHOUT ROWID",
     "CREATE TABLE entries (stream BIGINT NOT NULL, seq BIGINT NOT NULL, kind INTEGER NOT NULL,"
     " ordinal BIGINT NOT NULL, author TEXT NOT NULL, device TEXT NOT NULL, client_id TEXT, hash BIGINT NOT NULL,"
     " time BIGINT NOT NULL, body TEXT NOT NULL, content TEXT NOT NULL, PRIMARY KEY (stream, seq))"},
    {"CREATE UNIQUE INDEX entries_client ON entries (stream, author, client_id) WHERE client_id IS NOT NULL"},
};
constexpr storage::Migration kList[] = {{1, "streams", kTables}};

constexpr Sql kFind{"SELECT id, head, floor FROM streams WHERE tenant = ? AND kind = ? AND name = ?"};
constexpr Sql kById{"SELECT id, head, floor FROM streams WHERE id = ?"};
constexpr Sql kCreate{
    "INSERT INTO streams (tenant, kind, name, head, counted, floor, updated_at) VALUES (?, ?, ?, 0, 0, 0, ?)"
    " ON CONFLICT DO NOTHING"};
constexpr Sql kDuplicate{"SELECT seq, time, ordinal, hash FROM entries WHERE stream = ? AND author = ? AND client_id = ?"};
// The head, and the entry with this client id, if there is one: one way to a server for both. Not UPDATE … RETURNING, for
// which SQLite makes a table that costs more than this and the update.
#define HEAD_AND_FIRST                                                                                       \
  "SELECT s.head, s.counted, e.seq, e.time, e.ordinal, e.hash FROM streams s LEFT JOIN entries e"             \
  " ON e.stream = s.id AND e.author = ? AND e.client_id = ? WHERE s.id = ?"
constexpr Sql kHeadAndFirst{HEAD_AND_FIRST, HEAD_AND_FIRST " FOR UPDATE OF s"};
constexpr Sql kSetHead{"UPDATE streams SET head = ?, counted = ?, updated_at = ? WHERE id = ?"};
constexpr Sql kInsert{
    "INSERT INTO entries (stream, seq, kind, ordinal, author, device, client_id, hash, time, body, content)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"};
constexpr Sql kDropOne{"DELETE FROM entries WHERE stream = ? AND seq = ?"};
constexpr Sql kValue{"SELECT value FROM store WHERE name = ?"};
constexpr Sql kPutValue{"INSERT INTO store (name, value) VALUES (?, ?)"};
constexpr Sql kToExpire{
    "SELECT s.id FROM streams s WHERE s.id > ? AND s.id <= ? AND s.kind = ? AND s.head > s.floor AND"
    " (SELECT e.time FROM entries e WHERE e.stream = s.id AND e.seq > s.floor ORDER BY e.seq LIMIT 1) < ?"
    " ORDER BY s.id LIMIT ?"};
constexpr Sql kNewestStream{"SELECT coalesce(max(id), 0) FROM streams"};
constexpr Sql kOldest{"SELECT seq, time FROM entries WHERE stream = ? AND seq > ? ORDER BY seq LIMIT ?"};
constexpr Sql kDeleteUpTo{"DELETE FROM entries WHERE stream = ? AND seq <= ?"};
constexpr Sql kRaiseFloor{"UPDATE streams SET floor = max(floor, ?) WHERE id = ?",
                          "UPDATE streams SET floor = greatest(floor, ?) WHERE id = ?"};

// An entry's seq, time, ordinal and hash, from `column` on.
Result<Appended> first_answer(Statement& row, int column, int64_t hash) {
  if (row.integer(column + 3) != hash) {
    return Error{Code::conflict, "this id was used before with other fields", "id", 0};
  }
  return Appended{row.integer(column), row.integer(column + 1), row.integer(column + 2), true};
}

StreamRow row_of(Statement& rows) {
  return StreamRow{static_cast<StreamId>(rows.integer(0)), rows.integer(1), rows.integer(2)};
}

}  // namespace

const std::span<const storage::Migration> kMigrations = kList;

std::optional<StreamRow> find_stream(Transaction& tx, const StreamKey& key) {
  Statement& rows = tx.query(kFind, key.tenant.str(), key.kind, key.name);
  return rows.next() ? std::optional(row_of(rows)) : std::nullopt;
}

std::optional<StreamRow> stream_by_id(Transaction& tx, StreamId id) {
  Statement& rows = tx.query(kById, id);
  return rows.next() ? std::optional(row_of(rows)) : std::nullopt;
}

StreamRow open_stream(Transaction& tx, const StreamKey& key, int64_t now_ms) {
  if (const auto found = find_stream(tx, key)) {
    return *found;
  }
  // On PostgreSQL somebody else may have made it in the meantime.
  tx.execute(kCreate, key.tenant.str(), key.kind, key.name, now_ms);
  return *find_stream(tx, key);
}

Result<std::optional<Appended>> find_duplicate(Transaction& tx, StreamId id, const NewEntry& entry) {
  if (entry.client_id.empty()) {
    return std::optional<Appended>();
  }
  Statement& rows = tx.query(kDuplicate, id, entry.author, entry.client_id);
  if (!rows.next()) {
    return std::optional<Appended>();
  }
  auto first = first_answer(rows, 0, entry.hash);
  return first.ok() ? Result<std::optional<Appended>>(*first) : Result<std::optional<Appended>>(first.error());
}

Result<Appended> append(Transaction& tx, StreamId id, const NewEntry& entry) {
  const std::optional<std::string_view> client_id =
      entry.client_id.empty() ? std::nullopt : std::optional<std::string_view>(entry.client_id);
  Statement& stream = tx.query(kHeadAndFirst, entry.author, client_id, id);
  if (!stream.next()) {
    return fail(Code::not_found);
  }
  if (!stream.is_null(2)) {
    return first_answer(stream, 2, entry.hash);
  }
  Appended appended;
  appended.time_ms = entry.time_ms;
  appended.seq = stream.integer(0) + 1;
  appended.ordinal = stream.integer(1) + (entry.counted ? 1 : 0);
  tx.execute_later(kSetHead, appended.seq, appended.ordinal, entry.time_ms, id);
  tx.execute_later(kInsert, id, appended.seq, entry.kind, appended.ordinal, entry.author, entry.device, client_id, entry.hash,
                   entry.time_ms, entry.body, entry.content);
  if (TIDEMARK_FAULT(drop_after_ack)) {
    tx.execute(kDropOne, id, appended.seq);
  }
  return appended;
}

std::string store_value(Transaction& tx, std::string_view name, std::string_view fresh) {
  Statement& rows = tx.query(kValue, name);
  if (rows.next()) {
    return rows.string(0);
  }
  tx.execute(kPutValue, name, fresh);
  return std::string(fresh);
}

std::string store_epoch(Transaction& tx) {
  Statement& rows = tx.query(kValue, "epoch");
  return rows.next() ? rows.string(0) : std::string();
}

std::vector<StreamId> streams_to_expire(Transaction& tx, StreamKind kind, StreamId after, StreamId until,
                                        int64_t before_ms, int limit) {
  std::vector<StreamId> streams;
  for (Statement& rows = tx.query(kToExpire, after, until, kind, before_ms, limit); rows.next();) {
    streams.push_back(static_cast<StreamId>(rows.integer(0)));
  }
  return streams;
}

StreamId newest_stream(Transaction& tx) {
  Statement& rows = tx.query(kNewestStream);
  return rows.next() ? static_cast<StreamId>(rows.integer(0)) : StreamId{};
}

int64_t expire_entries(Transaction& tx, const StreamRow& stream, int64_t before_ms, int64_t limit) {
  int64_t floor = stream.floor;
  for (Statement& rows = tx.query(kOldest, stream.id, stream.floor, limit); rows.next() && rows.integer(1) < before_ms;) {
    floor = rows.integer(0);
  }
  if (floor > stream.floor) {
    tx.execute(kDeleteUpTo, stream.id, floor);
    tx.execute(kRaiseFloor, floor, stream.id);
  }
  return floor;
}

}  // namespace tidemark::stream
