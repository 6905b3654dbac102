// Streams and entries in the database. Called inside transactions, by the rooms' closures and by the engine.
//
// Invariants: the entries of a stream are numbered 1, 2, 3 … without gaps above its floor; (stream, author, client id)
// is unique; a number is given out in the transaction that stores its entry.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storage/migrations.h"
#include "stream/entry.h"

namespace tidemark::stream {

extern const std::span<const storage::Migration> kMigrations;

struct StreamRow {
  StreamId id{};
  int64_t head = 0;
  int64_t floor = 0;  // entries up to here are no longer kept
};

std::optional<StreamRow> find_stream(storage::Transaction& tx, const StreamKey& key);
// Finds or creates. A new stream has head 0.
StreamRow open_stream(storage::Transaction& tx, const StreamKey& key, int64_t now_ms);
std::optional<StreamRow> stream_by_id(storage::Transaction& tx, StreamId id);

// Appends under the next number. A repeated (author, client id) returns the first answer with `duplicate` if the hash is
// the same, else `conflict`. `not_found` if there is no such stream.
Result<Appended> append(storage::Transaction& tx, StreamId id, const NewEntry& entry);
// The first answer to a (author, client id), if there was one; `conflict` as above.
Result<std::optional<Appended>> find_duplicate(storage::Transaction& tx, StreamId id, const NewEntry& entry);

// The identity of the store: changes when it is restored or recreated.
std::string store_epoch(storage::Transaction& tx);
// A value of the store that is made once and kept: returns the stored one, or stores `fresh`.
std::string store_value(storage::Transaction& tx, std::string_view name, std::string_view fresh);

// Streams of a kind numbered after `after` up to `until` whose oldest entry is older than `before_ms`: at most `limit`,
// by number. How a retention job walks the store in small steps.
std::vector<StreamId> streams_to_expire(storage::Transaction& tx, StreamKind kind, StreamId after, StreamId until,
                                        int64_t before_ms, int limit);
StreamId newest_stream(storage::Transaction& tx);
// Deletes the oldest entries, at most `limit`, that are older than `before_ms`. Returns the stream's new floor.
int64_t expire_entries(storage::Transaction& tx, const StreamRow& stream, int64_t before_ms, int64_t limit);

}  // namespace tidemark::stream
