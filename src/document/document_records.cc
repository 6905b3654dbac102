// Beside a document's entries: operations that wait for a lock, and conflicts.
#include <algorithm>

#include "document/document_store.h"

namespace tidemark::document {
namespace {

using storage::Sql;
using storage::Statement;
using storage::Transaction;
using stream::StreamId;

constexpr Sql kPutPending{"INSERT INTO document_pending (stream, number, hash, body) VALUES (?, ?, ?, ?)"};
constexpr Sql kDropPending{"DELETE FROM document_pending WHERE stream = ? AND number = ?"};
constexpr Sql kPending{"SELECT number, hash, body FROM document_pending WHERE stream = ? ORDER BY number"};

constexpr Sql kPutConflict{
    "INSERT INTO document_conflicts (stream, number, id, is_open, operation_author, operation_id, parked_type,"
    " parked_data, parked_version, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (stream, number) DO UPDATE SET is_open = excluded.is_open, body = excluded.body"};
constexpr Sql kConflict{
    "SELECT number, is_open, operation_author, operation_id, body, parked_type, parked_data, parked_version"
    " FROM document_conflicts WHERE stream = ? AND id = ?"};
constexpr Sql kConflictOfOperation{
    "SELECT body FROM document_conflicts WHERE stream = ? AND operation_author = ? AND operation_id = ?"
    " ORDER BY number LIMIT 1"};
constexpr Sql kConflicts{
    "SELECT body FROM document_conflicts WHERE stream = ? AND is_open >= ? ORDER BY number DESC LIMIT ?"};

simdjson::dom::parser& parser() {
  thread_local simdjson::dom::parser one;
  return one;
}

Conflict conflict_from(std::string_view json) {
  const auto parsed = parse_json(parser(), json, 64);
  return parsed.ok() ? conflict_of(*parsed) : Conflict();
}

}  // namespace

namespace store {

void put_pending(Transaction& tx, StreamId stream, const Pending& pending) {
  tx.execute(kPutPending, stream, pending.number, pending.hash, operation_body(pending.operation));
}

void drop_pending(Transaction& tx, StreamId stream, int64_t number) { tx.execute(kDropPending, stream, number); }

std::vector<Pending> pending(Transaction& tx, StreamId stream) {
  std::vector<Pending> all;
  for (Statement& rows = tx.query(kPending, stream); rows.next();) {
    if (auto operation = operation_in(rows.text(2))) {
      all.push_back({rows.integer(0), rows.integer(1), std::move(*operation)});
    }
  }
  return all;
}

void put_conflict(Transaction& tx, StreamId stream, const ConflictRow& row) {
  tx.execute(kPutConflict, stream, row.number, row.conflict.id, row.open, row.operation_author, row.operation_id,
             row.parked.type, row.parked.data, row.parked.version, conflict_json(row.conflict));
}

std::optional<ConflictRow> conflict(Transaction& tx, StreamId stream, std::string_view id) {
  Statement& row = tx.query(kConflict, stream, id);
  if (!row.next()) {
    return std::nullopt;
  }
  ConflictRow found;
  found.number = row.integer(0);
  found.open = row.integer(1) != 0;
  found.operation_author = row.string(2);
  found.operation_id = row.string(3);
  found.conflict = conflict_from(row.text(4));
  found.parked = {row.string(5), row.string(6), row.integer(7)};
  return found;
}

std::optional<Conflict> conflict_of_operation(Transaction& tx, StreamId stream, std::string_view author,
                                              std::string_view operation_id) {
  Statement& row = tx.query(kConflictOfOperation, stream, author, operation_id);
  return row.next() ? std::optional(conflict_from(row.text(0))) : std::nullopt;
}

std::vector<Conflict> conflicts(Transaction& tx, StreamId stream, bool open_only, int64_t limit) {
  std::vector<Conflict> found;
  for (Statement& rows = tx.query(kConflicts, stream, open_only ? 1 : 0, limit); rows.next();) {
    found.push_back(conflict_from(rows.text(0)));
  }
  std::reverse(found.begin(), found.end());
  return found;
}

}  // namespace store
}  // namespace tidemark::document
