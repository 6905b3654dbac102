#include "document/document_store.h"

#include <algorithm>

#include "document/document.h"

namespace tidemark::document {
namespace {

using storage::Sql;
using storage::Statement;
using storage::Transaction;
using stream::StreamId;

constexpr Sql kTables[] = {
    {"CREATE TABLE documents (stream BIGINT PRIMARY KEY, tenant TEXT NOT NULL, document_id TEXT NOT NULL,"
     " name TEXT NOT NULL, type INTEGER NOT NULL, state INTEGER NOT NULL, metadata TEXT NOT NULL,"
     " is_public INTEGER NOT NULL, created_by TEXT NOT NULL, created_at BIGINT NOT NULL, updated_by TEXT NOT NULL,"
     " client_id TEXT, hash BIGINT NOT NULL, floor_version BIGINT NOT NULL, fence BIGINT NOT NULL, lock_id TEXT,"
     " lock_user TEXT NOT NULL, lock_session TEXT NOT NULL, lock_acquired BIGINT NOT NULL, lock_ttl BIGINT NOT NULL,"
     " UNIQUE (tenant, document_id))"},
    {"CREATE UNIQUE INDEX documents_client ON documents (tenant, created_by, client_id) WHERE client_id IS NOT NULL"},
    {"CREATE INDEX documents_locked ON documents (stream) WHERE lock_id IS NOT NULL"},
    // Who may read a document that is not public.
    {"CREATE TABLE document_readers (stream BIGINT NOT NULL, user_id TEXT NOT NULL, tenant TEXT NOT NULL,"
     " PRIMARY KEY (stream, user_id)) WITHOUT ROWID",
     "CREATE TABLE document_readers (stream BIGINT NOT NULL, user_id TEXT NOT NULL, tenant TEXT NOT NULL,"
     " PRIMARY KEY (stream, user_id))"},
    {"CREATE INDEX document_readers_user ON document_readers (tenant, user_id, stream)"},
    {"CREATE TABLE document_snapshots (stream BIGINT NOT NULL, version BIGINT NOT NULL, seq BIGINT NOT NULL,"
     " state TEXT NOT NULL, PRIMARY KEY (stream, version))",
     "CREATE TABLE document_snapshots (stream BIGINT NOT NULL, version BIGINT NOT NULL, seq BIGINT NOT NULL,"
     " state BYTEA NOT NULL, PRIMARY KEY (stream, version))"},
    {"CREATE TABLE document_pending (stream BIGINT NOT NULL, number BIGINT NOT NULL, hash BIGINT NOT NULL,"
     " body TEXT NOT NULL, PRIMARY KEY (stream, number))"},
    {"CREATE TABLE document_conflicts (stream BIGINT NOT NULL, number BIGINT NOT NULL, id TEXT NOT NULL,"
     " is_open INTEGER NOT NULL, operation_author TEXT NOT NULL, operation_id TEXT NOT NULL, parked_type TEXT NOT NULL,"
     " parked_data TEXT NOT NULL, parked_version BIGINT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (stream, number))"},
    {"CREATE UNIQUE INDEX document_conflicts_id ON document_conflicts (stream, id)"},
    {"CREATE INDEX document_conflicts_operation ON document_conflicts (stream, operation_author, operation_id)"},
};
constexpr storage::Migration kList[] = {{11, "documents", kTables}};

#define DETAIL_COLUMNS                                                                                                \
  "d.stream, d.document_id, d.name, d.type, d.state, d.metadata, d.created_by, d.created_at, s.updated_at,"           \
  " d.updated_by, s.head, s.floor, s.counted, d.floor_version, d.fence, d.lock_id, d.lock_user, d.lock_session,"      \
  " d.lock_acquired, d.lock_ttl"
#define DETAIL_TABLES " FROM documents d JOIN streams s ON s.id = d.stream"
#define ENTRY_COLUMNS "seq, kind, ordinal, author, device, time, body, client_id, hash, content"

constexpr Sql kFind{"SELECT " DETAIL_COLUMNS DETAIL_TABLES " WHERE d.tenant = ? AND d.document_id = ?"};
constexpr Sql kFindClientId{"SELECT " DETAIL_COLUMNS ", d.hash" DETAIL_TABLES
                            " WHERE d.tenant = ? AND d.created_by = ? AND d.client_id = ?"};
constexpr Sql kInsert{
    "INSERT INTO documents (stream, tenant, document_id, name, type, state, metadata, is_public, created_by, created_at,"
    " updated_by, client_id, hash, floor_version, fence, lock_user, lock_session, lock_acquired, lock_ttl)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 0, '', '', 0, 0)"};
constexpr Sql kSetDetails{
    "UPDATE documents SET name = ?, state = ?, metadata = ?, is_public = ? WHERE stream = ?"};
constexpr Sql kSetUpdatedBy{"UPDATE documents SET updated_by = ? WHERE stream = ?"};
constexpr Sql kSetLock{
    "UPDATE documents SET fence = ?, lock_id = ?, lock_user = ?, lock_session = ?, lock_acquired = ?, lock_ttl = ?"
    " WHERE stream = ?"};
constexpr Sql kFence{"SELECT fence FROM documents WHERE stream = ?"};
constexpr Sql kDropReaders{"DELETE FROM document_readers WHERE stream = ?"};
constexpr Sql kAddReader{
    "INSERT INTO document_readers (stream, user_id, tenant) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"};

constexpr Sql kPutSnapshot{
    "INSERT INTO document_snapshots (stream, version, seq, state) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (stream, version) DO UPDATE SET seq = excluded.seq, state = excluded.state"};
constexpr Sql kSnapshotAt{
    "SELECT version, seq, state FROM document_snapshots WHERE stream = ? AND version <= ? ORDER BY version DESC LIMIT 1"};
constexpr Sql kSnapshotPlace{
    "SELECT version, seq FROM document_snapshots WHERE stream = ? AND version <= ? ORDER BY version DESC LIMIT 1"};
constexpr Sql kDropSnapshots{"DELETE FROM document_snapshots WHERE stream = ? AND version < ?"};
constexpr Sql kDropAllSnapshots{"DELETE FROM document_snapshots WHERE stream = ?"};
constexpr Sql kDropEntries{"DELETE FROM entries WHERE stream = ? AND seq <= ?"};
constexpr Sql kSetFloor{"UPDATE streams SET floor = ? WHERE id = ?"};
constexpr Sql kSetFloorVersion{"UPDATE documents SET floor_version = ? WHERE stream = ?"};
constexpr Sql kFloor{"SELECT floor FROM streams WHERE id = ?"};
constexpr Sql kFloors{"SELECT s.floor, d.floor_version" DETAIL_TABLES " WHERE d.stream = ?"};

constexpr Sql kHead{"SELECT head, counted FROM streams WHERE id = ?",
                    "SELECT head, counted FROM streams WHERE id = ? FOR UPDATE"};
constexpr Sql kSetHead{"UPDATE streams SET head = ?, counted = ?, updated_at = ? WHERE id = ?"};
constexpr Sql kPutEntry{
    "INSERT INTO entries (stream, seq, kind, ordinal, author, device, client_id, hash, time, body, content)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"};
constexpr Sql kEntryOf{"SELECT " ENTRY_COLUMNS " FROM entries WHERE stream = ? AND author = ? AND client_id = ?"};
constexpr Sql kEntryAt{"SELECT " ENTRY_COLUMNS " FROM entries WHERE stream = ? AND seq = ?"};
constexpr Sql kPlaceOf{"SELECT ordinal, kind FROM entries WHERE stream = ? AND seq = ?"};
constexpr Sql kAfter{"SELECT " ENTRY_COLUMNS
                     " FROM entries WHERE stream = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?"};
constexpr Sql kOperationsAfter{"SELECT " ENTRY_COLUMNS
                               " FROM entries WHERE stream = ? AND seq > ? AND kind = 1 ORDER BY seq LIMIT ?"};
constexpr Sql kNewestOperations{"SELECT " ENTRY_COLUMNS
                                " FROM entries WHERE stream = ? AND kind = 1 ORDER BY seq DESC LIMIT ?"};

constexpr Sql kDropAllPending{"DELETE FROM document_pending WHERE stream = ?"};
constexpr Sql kDropConflicts{"DELETE FROM document_conflicts WHERE stream = ?"};

// A filter that is not given is its empty value.
#define LIST_WHERE                                                                                          \
  " WHERE d.tenant = ? AND (? = 0 OR d.type = ?) AND ((? = 0 AND d.state <> 3) OR d.state = ?)"             \
  " AND (? = '' OR d.created_by = ?) AND (? = '' OR d.is_public = 1 OR EXISTS (SELECT 1 FROM document_readers r" \
  " WHERE r.stream = d.stream AND r.user_id = ?))"
constexpr Sql kListed{"SELECT " DETAIL_COLUMNS DETAIL_TABLES LIST_WHERE
                      " ORDER BY s.updated_at DESC, s.id DESC LIMIT ? OFFSET ?"};
constexpr Sql kListTotal{"SELECT count(*)" DETAIL_TABLES LIST_WHERE};
constexpr Sql kCountDocuments{
    "SELECT coalesce(sum(CASE WHEN d.state = 1 THEN 1 ELSE 0 END), 0),"
    " coalesce(sum(CASE WHEN d.state = 2 THEN 1 ELSE 0 END), 0),"
    " coalesce(sum(CASE WHEN d.state <> 3 THEN s.counted ELSE 0 END), 0),"
    " coalesce(sum(CASE WHEN d.lock_id IS NULL THEN 0 ELSE 1 END), 0)" DETAIL_TABLES " WHERE d.tenant = ?"};
constexpr Sql kCountConflicts{
    "SELECT count(*), coalesce(sum(1 - c.is_open), 0) FROM document_conflicts c JOIN documents d ON d.stream = c.stream"
    " WHERE d.tenant = ?"};
constexpr Sql kLocked{"SELECT tenant, document_id FROM documents WHERE lock_id IS NOT NULL"};

constexpr int kDetailColumns = 20;

simdjson::dom::parser& parser() {
  thread_local simdjson::dom::parser one;
  return one;
}

Details read_details(Statement& row) {
  Details details;
  details.stream = static_cast<StreamId>(row.integer(0));
  details.id = row.string(1);
  details.name = row.string(2);
  details.type = static_cast<Type>(row.integer(3));
  details.state = static_cast<State>(row.integer(4));
  if (const auto metadata = parse_json(parser(), row.text(5), 64); metadata.ok()) {
    details.metadata = metadata_of(*metadata);
  }
  details.created_by = row.string(6);
  details.created_at = row.integer(7);
  details.updated_at = row.integer(8);
  details.updated_by = row.string(9);
  details.head = row.integer(10);
  details.floor = row.integer(11);
  details.version = version_of(row.integer(12));
  details.floor_version = row.integer(13);
  details.fence = row.integer(14);
  details.lock_ttl_ms = row.integer(19);
  if (!row.is_null(15)) {
    Lock lock;
    lock.id = row.string(15);
    lock.doc_id = details.id;
    lock.user_id = row.string(16);
    lock.session_id = row.string(17);
    lock.acquired_at = row.integer(18);
    lock.expires_at = lock.acquired_at + details.lock_ttl_ms;
    lock.active = true;
    lock.fence = details.fence;
    details.lock = std::move(lock);
  }
  return details;
}

store::Stored read_entry(Statement& row) {
  store::Stored stored;
  stored.entry.seq = row.integer(0);
  stored.entry.kind = static_cast<int>(row.integer(1));
  stored.entry.ordinal = row.integer(2);
  stored.entry.author = row.string(3);
  stored.entry.device = row.string(4);
  stored.entry.time_ms = row.integer(5);
  stored.entry.body = row.string(6);
  stored.client_id = row.string(7);
  stored.hash = row.integer(8);
  stored.entry.content = row.string(9);
  return stored;
}

std::vector<store::Stored> read_entries(Statement& rows, size_t bytes) {
  std::vector<store::Stored> entries;
  size_t held = 0;
  while (held < bytes && rows.next()) {
    entries.push_back(read_entry(rows));
    held += entries.back().entry.body.size();
  }
  return entries;
}

void set_readers(Transaction& tx, const TenantId& tenant, const Details& details) {
  tx.execute(kDropReaders, details.stream);
  const Permissions& permissions = *details.metadata.permissions;
  const auto add = [&](const std::string& user) {
    if (!user.empty()) {
      tx.execute(kAddReader, details.stream, user, tenant.str());
    }
  };
  add(permissions.owner);
  for (const std::string& user : permissions.editors) {
    add(user);
  }
  for (const std::string& user : permissions.viewers) {
    add(user);
  }
}

}  // namespace

const std::span<const storage::Migration> kMigrations = kList;

namespace store {

std::optional<Details> find(Transaction& tx, const TenantId& tenant, std::string_view id) {
  Statement& rows = tx.query(kFind, tenant.str(), id);
  return rows.next() ? std::optional(read_details(rows)) : std::nullopt;
}

std::optional<Made> find_client_id(Transaction& tx, const UserKey& creator, std::string_view client_id) {
  Statement& rows = tx.query(kFindClientId, creator.tenant.str(), creator.user.str(), client_id);
  if (!rows.next()) {
    return std::nullopt;
  }
  return Made{read_details(rows), rows.integer(kDetailColumns)};
}

void insert(Transaction& tx, const TenantId& tenant, const Details& details, std::string_view client_id, int64_t hash) {
  const auto key = client_id.empty() ? std::nullopt : std::optional(client_id);
  tx.execute(kInsert, details.stream, tenant.str(), details.id, details.name, details.type, details.state,
             metadata_json(details.metadata), details.metadata.permissions->is_public, details.created_by,
             details.created_at, details.updated_by, key, hash);
  set_readers(tx, tenant, details);
}

void set_details(Transaction& tx, const TenantId& tenant, const Details& details) {
  tx.execute(kSetDetails, details.name, details.state, metadata_json(details.metadata),
             details.metadata.permissions->is_public, details.stream);
  set_readers(tx, tenant, details);
}

void set_updated_by(Transaction& tx, StreamId stream, std::string_view user) {
  tx.execute(kSetUpdatedBy, user, stream);
}

int64_t fence_of(Transaction& tx, StreamId stream) {
  Statement& row = tx.query(kFence, stream);
  return row.next() ? row.integer(0) : -1;
}

void set_lock(Transaction& tx, const Details& details) {
  const Lock lock = details.lock.value_or(Lock());
  const auto id = details.lock ? std::optional<std::string_view>(lock.id) : std::nullopt;
  tx.execute(kSetLock, details.fence, id, lock.user_id, lock.session_id, lock.acquired_at,
             details.lock ? details.lock_ttl_ms : 0, details.stream);
}

void clear(Transaction& tx, StreamId stream, int64_t floor) {
  tx.execute(kDropEntries, stream, floor);
  tx.execute(kSetFloor, floor, stream);
  tx.execute(kDropAllSnapshots, stream);
  tx.execute(kDropAllPending, stream);
  tx.execute(kDropConflicts, stream);
}

void put_snapshot(Transaction& tx, StreamId stream, const Snapshot& snapshot) {
  tx.execute(kPutSnapshot, stream, snapshot.version, snapshot.seq, storage::Bytes{snapshot.state});
}

std::optional<Snapshot> snapshot_at(Transaction& tx, StreamId stream, int64_t version) {
  Statement& row = tx.query(kSnapshotAt, stream, version);
  if (!row.next()) {
    return std::nullopt;
  }
  return Snapshot{row.integer(0), row.integer(1), row.string(2)};
}

bool compact(Transaction& tx, StreamId stream, int64_t version, int64_t limit) {
  Statement& place = tx.query(kSnapshotPlace, stream, version);
  if (!place.next()) {
    return false;
  }
  const int64_t floor_version = place.integer(0);
  const int64_t target = place.integer(1);
  Statement& row = tx.query(kFloor, stream);
  const int64_t floor = row.next() ? row.integer(0) : target;
  if (floor >= target) {
    return false;
  }
  // The version first: what is being removed can no longer be asked for.
  const int64_t next = std::min(target, floor + limit);
  tx.execute(kSetFloorVersion, floor_version, stream);
  tx.execute(kDropSnapshots, stream, floor_version);
  tx.execute(kDropEntries, stream, next);
  tx.execute(kSetFloor, next, stream);
  return next < target;
}

void floor_of(Transaction& tx, StreamId stream, int64_t& seq, int64_t& version) {
  Statement& row = tx.query(kFloors, stream);
  if (row.next()) {
    seq = row.integer(0);
    version = row.integer(1);
  }
}

Head head_of(Transaction& tx, StreamId stream) {
  Statement& row = tx.query(kHead, stream);
  return row.next() ? Head{row.integer(0), row.integer(1)} : Head{-1, -1};
}

void set_head(Transaction& tx, StreamId stream, Head head, int64_t now_ms) {
  tx.execute(kSetHead, head.seq, head.counted, now_ms, stream);
}

bool put_entry(Transaction& tx, StreamId stream, const stream::Entry& entry, std::string_view client_id, int64_t hash) {
  const auto key = client_id.empty() ? std::nullopt : std::optional(client_id);
  return tx.execute(kPutEntry, stream, entry.seq, entry.kind, entry.ordinal, entry.author, entry.device, key, hash,
                    entry.time_ms, entry.body, entry.content) == 1;
}

std::optional<Stored> entry_of(Transaction& tx, StreamId stream, std::string_view author, std::string_view client_id) {
  Statement& row = tx.query(kEntryOf, stream, author, client_id);
  return row.next() ? std::optional(read_entry(row)) : std::nullopt;
}

std::optional<Stored> entry_at(Transaction& tx, StreamId stream, int64_t seq) {
  Statement& row = tx.query(kEntryAt, stream, seq);
  return row.next() ? std::optional(read_entry(row)) : std::nullopt;
}

std::vector<Stored> entries_after(Transaction& tx, StreamId stream, int64_t after, int64_t until, int64_t limit,
                                  size_t bytes) {
  return read_entries(tx.query(kAfter, stream, after, until, limit), bytes);
}

std::vector<Stored> operations_after(Transaction& tx, StreamId stream, int64_t after_seq, int64_t limit, size_t bytes) {
  return read_entries(tx.query(kOperationsAfter, stream, after_seq, limit), bytes);
}

std::vector<Stored> newest_operations(Transaction& tx, StreamId stream, int64_t limit, size_t bytes) {
  auto entries = read_entries(tx.query(kNewestOperations, stream, limit), bytes);
  std::reverse(entries.begin(), entries.end());
  return entries;
}

int64_t seq_of_version(Transaction& tx, const Details& details, int64_t version) {
  // Ordinals grow with the numbers: `high` becomes the first kept entry that is at the version or after it.
  int64_t low = details.floor;
  int64_t high = details.head + 1;
  while (low + 1 < high) {
    const int64_t middle = low + (high - low) / 2;
    Statement& row = tx.query(kPlaceOf, details.stream, middle);
    const bool before = !row.next() || version_of(row.integer(0)) < version;
    (before ? low : high) = middle;
  }
  Statement& row = tx.query(kPlaceOf, details.stream, high);
  const bool made_it = row.next() && version_of(row.integer(0)) == version &&
                       static_cast<EntryKind>(row.integer(1)) == EntryKind::operation_applied;
  return made_it ? high : high - 1;
}

Page list(Transaction& tx, const ListFilter& filter) {
  const int64_t type = filter.type ? static_cast<int64_t>(*filter.type) : 0;
  const int64_t state = filter.state ? static_cast<int64_t>(*filter.state) : 0;
  Page page;
  Statement& rows =
      tx.query(kListed, filter.tenant.str(), type, type, state, state, filter.created_by, filter.created_by,
               filter.reader, filter.reader, filter.limit, filter.offset);
  while (rows.next()) {
    page.documents.push_back(read_details(rows));
  }
  Statement& total = tx.query(kListTotal, filter.tenant.str(), type, type, state, state, filter.created_by,
                              filter.created_by, filter.reader, filter.reader);
  page.total = total.next() ? total.integer(0) : 0;
  return page;
}

Stats stats(Transaction& tx, const TenantId& tenant) {
  Stats stats;
  if (Statement& row = tx.query(kCountDocuments, tenant.str()); row.next()) {
    stats.active_documents = row.integer(0);
    stats.archived_documents = row.integer(1);
    stats.total_documents = stats.active_documents + stats.archived_documents;
    stats.total_operations = row.integer(2);
    stats.active_locks = row.integer(3);
  }
  if (Statement& row = tx.query(kCountConflicts, tenant.str()); row.next()) {
    stats.total_conflicts = row.integer(0);
    stats.resolved_conflicts = row.integer(1);
  }
  return stats;
}

std::vector<std::pair<TenantId, std::string>> locked(Transaction& tx) {
  std::vector<std::pair<TenantId, std::string>> found;
  for (Statement& rows = tx.query(kLocked); rows.next();) {
    found.emplace_back(TenantId(rows.string(0)), rows.string(1));
  }
  return found;
}

}  // namespace store
}  // namespace tidemark::document
