// Documents in the database. Called inside transactions. Private to the document room.
//
// Invariants: a document is a row beside its stream; its version is the stream's count of operations, plus one; there is
// always a snapshot at or above the floor, and every entry above the floor is kept.
#pragma once

#include "document/encode.h"
#include "storage/migrations.h"
#include "stream/store.h"

namespace tidemark::document {

// A document's row and its stream's.
struct Details {
  stream::StreamId stream{};
  std::string id;
  std::string name;
  Type type = Type::whiteboard;
  State state = State::active;
  Metadata metadata;  // with permissions
  std::string created_by;
  int64_t created_at = 0;
  int64_t updated_at = 0;
  std::string updated_by;
  int64_t head = 0;
  int64_t floor = 0;  // entries up to here are gone
  int64_t version = 1;
  int64_t floor_version = 1;  // the oldest that can be read
  int64_t fence = 0;          // of the newest grant, or of what has outdated it
  std::optional<Lock> lock;
  int64_t lock_ttl_ms = 0;
};

struct Snapshot {
  int64_t version = 0;
  int64_t seq = 0;  // the newest entry that it contains
  std::string state;
};

// An operation that waits for a lock.
struct Pending {
  int64_t number = 0;
  int64_t hash = 0;
  Operation operation;
};

// How a parked operation would take effect on the version at which it was parked.
struct Parked {
  std::string type;
  std::string data;
  int64_t version = 0;
};

struct ConflictRow {
  int64_t number = 0;  // the seq of its conflict_detected
  bool open = false;
  Parked parked;  // of an open one
  std::string operation_author;  // and id: of the incoming operation
  std::string operation_id;
  Conflict conflict;
};

struct ListFilter {
  TenantId tenant;
  std::optional<Type> type;
  std::optional<State> state;  // none: all but deleted
  std::string created_by;
  std::string reader;  // empty: everybody's
  int64_t offset = 0;
  int64_t limit = 0;
};

namespace store {

std::optional<Details> find(storage::Transaction& tx, const TenantId& tenant, std::string_view id);
struct Made {
  Details details;
  int64_t hash = 0;
};
std::optional<Made> find_client_id(storage::Transaction& tx, const UserKey& creator, std::string_view client_id);
void insert(storage::Transaction& tx, const TenantId& tenant, const Details& details, std::string_view client_id,
            int64_t hash);
// Name, state, metadata and who may read.
void set_details(storage::Transaction& tx, const TenantId& tenant, const Details& details);
void set_updated_by(storage::Transaction& tx, stream::StreamId stream, std::string_view user);
int64_t fence_of(storage::Transaction& tx, stream::StreamId stream);
void set_lock(storage::Transaction& tx, const Details& details);
// A document that is gone keeps its row, its readers and the entries after `floor`; the rest goes.
void clear(storage::Transaction& tx, stream::StreamId stream, int64_t floor);

void put_snapshot(storage::Transaction& tx, stream::StreamId stream, const Snapshot& snapshot);
// The newest one of at most this version.
std::optional<Snapshot> snapshot_at(storage::Transaction& tx, stream::StreamId stream, int64_t version);
// Makes the newest snapshot of at most `version` the floor. At most `limit` entries go; true: there is more to do.
bool compact(storage::Transaction& tx, stream::StreamId stream, int64_t version, int64_t limit);
void floor_of(storage::Transaction& tx, stream::StreamId stream, int64_t& seq, int64_t& version);

struct Head {
  int64_t seq = 0;
  int64_t counted = 0;
};
Head head_of(storage::Transaction& tx, stream::StreamId stream);
void set_head(storage::Transaction& tx, stream::StreamId stream, Head head, int64_t now_ms);
// An entry with its number and ordinal; an operation's `content` is its trail. False: there is one with its author and
// client id.
bool put_entry(storage::Transaction& tx, stream::StreamId stream, const stream::Entry& entry,
               std::string_view client_id, int64_t hash);

struct Stored {
  stream::Entry entry;
  std::string client_id;
  int64_t hash = 0;
};
std::optional<Stored> entry_of(storage::Transaction& tx, stream::StreamId stream, std::string_view author,
                               std::string_view client_id);
std::optional<Stored> entry_at(storage::Transaction& tx, stream::StreamId stream, int64_t seq);
// Ascending, after `after` up to `until`; no further one once they hold `bytes`.
std::vector<Stored> entries_after(storage::Transaction& tx, stream::StreamId stream, int64_t after, int64_t until,
                                  int64_t limit, size_t bytes = SIZE_MAX);
// Operations with a version after `after`, ascending.
std::vector<Stored> operations_after(storage::Transaction& tx, stream::StreamId stream, int64_t after_seq,
                                     int64_t limit, size_t bytes = SIZE_MAX);
// The newest ones, ascending.
std::vector<Stored> newest_operations(storage::Transaction& tx, stream::StreamId stream, int64_t limit,
                                      size_t bytes = SIZE_MAX);
// The entry that made the version, or if it is gone (or nothing made it) the one before the first that is kept.
// Operations behind it are after the version; locks and conflicts behind it may be at the version.
int64_t seq_of_version(storage::Transaction& tx, const Details& details, int64_t version);

void put_pending(storage::Transaction& tx, stream::StreamId stream, const Pending& pending);
void drop_pending(storage::Transaction& tx, stream::StreamId stream, int64_t number);
std::vector<Pending> pending(storage::Transaction& tx, stream::StreamId stream);

void put_conflict(storage::Transaction& tx, stream::StreamId stream, const ConflictRow& row);
std::optional<ConflictRow> conflict(storage::Transaction& tx, stream::StreamId stream, std::string_view id);
std::optional<Conflict> conflict_of_operation(storage::Transaction& tx, stream::StreamId stream,
                                              std::string_view author, std::string_view operation_id);
std::vector<Conflict> conflicts(storage::Transaction& tx, stream::StreamId stream, bool open_only, int64_t limit);

struct Page {
  std::vector<Details> documents;
  int64_t total = 0;
};
Page list(storage::Transaction& tx, const ListFilter& filter);
Stats stats(storage::Transaction& tx, const TenantId& tenant);
// Documents with a lock: their tenants and ids.
std::vector<std::pair<TenantId, std::string>> locked(storage::Transaction& tx);

}  // namespace store
}  // namespace tidemark::document
