// Entries with what became of them: edits, deletions, reactions. The rest of the tables is in conversation_store.cc.
#include <algorithm>

#include "conversation/conversation_store.h"
#include "conversation/search_store.h"

namespace tidemark::conversation::store {
namespace {

using storage::Sql;
using storage::Statement;
using storage::Transaction;
using stream::StreamId;

#define ENTRY_COLUMNS                                                                                       \
  "e.seq, e.kind, e.ordinal, e.author, e.device, e.content, e.body, e.time, m.deleted, m.content, m.edited_at," \
  " m.reacted"
#define ENTRY_TABLES " FROM entries e LEFT JOIN message_state m ON m.stream = e.stream AND m.seq = e.seq"

constexpr Sql kAfter{"SELECT " ENTRY_COLUMNS ENTRY_TABLES
                     " WHERE e.stream = ? AND e.seq > ? AND e.seq <= ? ORDER BY e.seq LIMIT ?"};
constexpr Sql kMessagesAfter{"SELECT " ENTRY_COLUMNS ENTRY_TABLES
                             " WHERE e.stream = ? AND e.seq > ? AND e.seq <= ? AND e.kind = 0 ORDER BY e.seq LIMIT ?"};
constexpr Sql kBefore{"SELECT " ENTRY_COLUMNS ENTRY_TABLES
                      " WHERE e.stream = ? AND e.seq < ? ORDER BY e.seq DESC LIMIT ?"};
constexpr Sql kMessagesBefore{"SELECT " ENTRY_COLUMNS ENTRY_TABLES
                              " WHERE e.stream = ? AND e.seq < ? AND e.kind = 0 ORDER BY e.seq DESC LIMIT ?"};
constexpr Sql kEntry{"SELECT " ENTRY_COLUMNS ENTRY_TABLES " WHERE e.stream = ? AND e.seq = ?"};
constexpr Sql kReactions{
    "SELECT name, count(*), sum(CASE WHEN user_id = ? THEN 1 ELSE 0 END) FROM reactions WHERE stream = ? AND seq = ?"
    " GROUP BY name ORDER BY name",
    "SELECT name, count(*), sum(CASE WHEN user_id = ? THEN 1 ELSE 0 END) FROM reactions WHERE stream = ? AND seq = ?"
    " GROUP BY name ORDER BY name COLLATE \"C\""};
constexpr Sql kReactionNames{"SELECT count(DISTINCT name) FROM reactions WHERE stream = ? AND seq = ?"};
constexpr Sql kNoteEdit{
    "INSERT INTO message_state (stream, seq, deleted, content, edited_at, reacted) VALUES (?, ?, 0, ?, ?, 0)"
    " ON CONFLICT (stream, seq) DO UPDATE SET content = excluded.content, edited_at = excluded.edited_at"};
constexpr Sql kRememberEdit{
    "INSERT INTO message_edits (stream, target, seq) SELECT id, ?, head FROM streams WHERE id = ?"};
constexpr Sql kNoteDeletion{
    "INSERT INTO message_state (stream, seq, deleted, content, edited_at, reacted) VALUES (?, ?, 1, NULL, 0, 0)"
    " ON CONFLICT (stream, seq) DO UPDATE SET deleted = 1, content = NULL, edited_at = 0, reacted = 0"};
constexpr Sql kClearText{"UPDATE entries SET content = '', body = '' WHERE stream = ? AND seq = ?"};
constexpr Sql kClearEdits{
    "UPDATE entries SET content = '' WHERE stream = ? AND seq IN"
    " (SELECT seq FROM message_edits WHERE stream = ? AND target = ?)"};
constexpr Sql kDropReactions{"DELETE FROM reactions WHERE stream = ? AND seq = ?"};
constexpr Sql kNoteReacted{
    "INSERT INTO message_state (stream, seq, deleted, content, edited_at, reacted) VALUES (?, ?, 0, NULL, 0, 1)"
    " ON CONFLICT (stream, seq) DO UPDATE SET reacted = 1"};
constexpr Sql kReact{"INSERT INTO reactions (stream, seq, name, user_id) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"};
constexpr Sql kUnreact{"DELETE FROM reactions WHERE stream = ? AND seq = ? AND name = ? AND user_id = ?"};
constexpr Sql kForgetStates{"DELETE FROM message_state WHERE stream = ? AND seq <= ?"};
constexpr Sql kForgetReactions{"DELETE FROM reactions WHERE stream = ? AND seq <= ?"};
constexpr Sql kForgetEdits{"DELETE FROM message_edits WHERE stream = ? AND target <= ?"};

Row read_row(Statement& row, bool& reacted) {
  Row result;
  result.entry.seq = row.integer(0);
  result.entry.kind = static_cast<int>(row.integer(1));
  result.entry.ordinal = row.integer(2);
  result.entry.author = row.string(3);
  result.entry.device = row.string(4);
  result.entry.content = row.string(5);
  result.entry.body = row.string(6);
  result.entry.time_ms = row.integer(7);
  result.state.deleted = row.integer(8) != 0;
  result.state.edited = !row.is_null(9);
  result.state.content = row.string(9);
  result.state.edited_at = row.integer(10);
  reacted = row.integer(11) != 0;
  return result;
}

void read_reactions(Transaction& tx, StreamId stream, Row& row, std::string_view viewer) {
  for (Statement& rows = tx.query(kReactions, viewer, stream, row.entry.seq); rows.next();) {
    row.state.reactions.push_back({rows.string(0), rows.integer(1), rows.integer(2) > 0});
  }
}

std::vector<Row> read_rows(Transaction& tx, StreamId stream, Statement& statement, std::string_view viewer,
                                  size_t* bytes = nullptr) {
  std::vector<Row> rows;
  std::vector<size_t> with_reactions;
  while ((bytes == nullptr || *bytes > 0) && statement.next()) {
    bool reacted = false;
    rows.push_back(read_row(statement, reacted));
    if (reacted) {
      with_reactions.push_back(rows.size() - 1);
    }
    if (bytes != nullptr) {
      *bytes -= std::min(*bytes, rows.back().entry.content.size() + rows.back().entry.body.size());
    }
  }
  for (const size_t index : with_reactions) {
    read_reactions(tx, stream, rows[index], viewer);
  }
  return rows;
}

}  // namespace

std::vector<Row> entries_after(Transaction& tx, StreamId stream, int64_t after, int64_t until, int64_t limit,
                               std::string_view viewer, bool messages_only, size_t* bytes) {
  return read_rows(tx, stream, tx.query(messages_only ? kMessagesAfter : kAfter, stream, after, until, limit), viewer,
                   bytes);
}

std::vector<Row> entries_before(Transaction& tx, StreamId stream, int64_t before, int64_t limit, std::string_view viewer,
                                bool messages_only, size_t* bytes) {
  return read_rows(tx, stream, tx.query(messages_only ? kMessagesBefore : kBefore, stream, before, limit), viewer,
                   bytes);
}

std::optional<Row> entry(Transaction& tx, StreamId stream, int64_t seq, std::string_view viewer) {
  auto rows = read_rows(tx, stream, tx.query(kEntry, stream, seq), viewer);
  return rows.empty() ? std::nullopt : std::optional(std::move(rows[0]));
}

void note_edit(Transaction& tx, StreamId stream, int64_t seq, std::string_view content, int64_t edited_at) {
  tx.execute(kNoteEdit, stream, seq, content, edited_at);
  tx.execute(kRememberEdit, seq, stream);
  reindex(tx, stream, seq, content);
}

void note_deletion(Transaction& tx, StreamId stream, int64_t seq) {
  tx.execute(kNoteDeletion, stream, seq);
  tx.execute(kClearText, stream, seq);
  tx.execute(kClearEdits, stream, stream, seq);
  tx.execute(kDropReactions, stream, seq);
  remove_from_index(tx, stream, seq);
}

void note_reaction(Transaction& tx, StreamId stream, int64_t seq, const UserId& user, std::string_view name,
                   bool remove) {
  if (remove) {
    tx.execute(kUnreact, stream, seq, name, user.str());
  } else {
    tx.execute(kReact, stream, seq, name, user.str());
    tx.execute(kNoteReacted, stream, seq);
  }
}

int64_t reaction_names(Transaction& tx, StreamId stream, int64_t seq) {
  Statement& rows = tx.query(kReactionNames, stream, seq);
  return rows.next() ? rows.integer(0) : 0;
}

void forget_states(Transaction& tx, StreamId stream, int64_t floor) {
  tx.execute(kForgetStates, stream, floor);
  tx.execute(kForgetReactions, stream, floor);
  tx.execute(kForgetEdits, stream, floor);
  remove_from_index_up_to(tx, stream, floor);
}

}  // namespace tidemark::conversation::store
