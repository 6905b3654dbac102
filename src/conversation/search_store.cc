#include "conversation/search_store.h"

#include <algorithm>

#include "conversation/search_query.h"

namespace tidemark::conversation::store {
namespace {

using storage::Sql;
using storage::Statement;
using storage::Transaction;
using stream::StreamId;

constexpr Sql kTables[] = {
    // Without sizes of columns: results are in the order of time, nothing is ranked.
    {"CREATE VIRTUAL TABLE search USING fts5(content, columnsize=0, tokenize=\"unicode61 remove_diacritics 2\")",
     "CREATE TABLE search (rowid BIGINT PRIMARY KEY, words TSVECTOR NOT NULL)"},
    // Merging is the job's: by itself FTS5 merges within the transaction of an insert, as much as it happens to find.
    {"INSERT INTO search (search, rank) VALUES ('automerge', 0)", "CREATE INDEX search_words ON search USING gin (words)"},
    {"INSERT INTO search (search, rank) VALUES ('crisismerge', 64)", "CREATE EXTENSION IF NOT EXISTS unaccent"},
    {"CREATE TABLE search_positions (stream BIGINT PRIMARY KEY, seq BIGINT NOT NULL, floor BIGINT NOT NULL)"},
};

constexpr Sql kProgress{
    "SELECT s.head, s.floor, coalesce(p.seq, 0), coalesce(p.floor, 0) FROM streams s LEFT JOIN search_positions p"
    " ON p.stream = s.id WHERE s.id = ?",
    // Who edits a message holds this row; a step never waits for one.
    "SELECT s.head, s.floor, coalesce(p.seq, 0), coalesce(p.floor, 0) FROM streams s LEFT JOIN search_positions p"
    " ON p.stream = s.id WHERE s.id = ? FOR UPDATE OF s SKIP LOCKED"};
constexpr Sql kSetProgress{
    "INSERT INTO search_positions (stream, seq, floor) VALUES (?, ?, ?)"
    " ON CONFLICT (stream) DO UPDATE SET seq = excluded.seq, floor = excluded.floor"};
constexpr Sql kSetFloor{"UPDATE search_positions SET floor = ? WHERE stream = ?"};
constexpr Sql kPosition{"SELECT seq FROM search_positions WHERE stream = ?"};
constexpr Sql kUnindexed{
    "SELECT e.seq, e.kind, coalesce(m.deleted, 0), coalesce(m.content, e.content) FROM entries e"
    " LEFT JOIN message_state m ON m.stream = e.stream AND m.seq = e.seq"
    " WHERE e.stream = ? AND e.seq > ? ORDER BY e.seq LIMIT ?"};
// PostgreSQL: words as FTS5's tokenizer finds them, runs of letters and digits without case and diacritics.
#define WORDS_PG "regexp_replace(unaccent(?), '[^[:alnum:]]+', ' ', 'g')"
constexpr Sql kInsert{"INSERT INTO search (rowid, content) VALUES (?, ?)",
                      "INSERT INTO search (rowid, words) VALUES (?, to_tsvector('simple', " WORDS_PG "))"};
constexpr Sql kRemove{"DELETE FROM search WHERE rowid = ?"};
constexpr Sql kRemoveRange{"DELETE FROM search WHERE rowid >= ? AND rowid <= ?"};
constexpr Sql kRangeEnd{
    "SELECT max(rowid), count(*) FROM (SELECT rowid FROM search WHERE rowid >= ? AND rowid <= ? ORDER BY rowid LIMIT ?) AS places"};
constexpr Sql kBehind{
    "SELECT s.id FROM streams s LEFT JOIN search_positions p ON p.stream = s.id WHERE s.id > ? AND s.id <= ?"
    " AND s.kind = ? AND (s.head > coalesce(p.seq, 0) OR s.floor > coalesce(p.floor, 0)) ORDER BY s.id"};
// FTS5 marks removed documents and drops them when it merges the parts of its index; a negative number begins to merge
// all of them, a positive one goes on (https://sqlite.org/fts5.html#the_merge_command). The number counts pages.
// PostgreSQL merges by itself.
constexpr Sql kMerge{"INSERT INTO search (search, rank) VALUES ('merge', ?)", "SELECT ?::bigint"};
constexpr Sql kTotalChanges{"SELECT total_changes()", "SELECT 0"};
constexpr int64_t kMergePages = 16;
constexpr Sql kFind{
    "SELECT rowid FROM search WHERE search MATCH ? AND rowid > ? AND rowid < ? ORDER BY rowid DESC LIMIT ?",
    // The quotes around terms are hidden from unaccent, which makes quotes of other characters.
    "SELECT rowid FROM search WHERE words @@ websearch_to_tsquery('simple', translate(regexp_replace(unaccent("
    "translate(?, '\"', E'\\x01')), E'[^[:alnum:]\\x01]+', ' ', 'g'), E'\\x01', '\"'))"
    " AND rowid > ? AND rowid < ? ORDER BY rowid DESC LIMIT ?"};
constexpr Sql kNewestUpTo{"SELECT seq, time FROM entries WHERE stream = ? AND seq <= ? ORDER BY seq DESC LIMIT 1"};
constexpr Sql kSearchable{
    "SELECT c.stream, c.conversation_id, s.floor, s.updated_at FROM members u JOIN conversations c ON c.stream = u.stream"
    " JOIN streams s ON s.id = u.stream WHERE u.tenant = ? AND u.user_id = ? AND c.deleted = 0"
    " ORDER BY s.updated_at DESC LIMIT ?"};

// Streams are numbered from 1 and far below 2^31; so are the entries of one stream below 2^32.
constexpr int kSeqBits = 32;
int64_t document(StreamId stream, int64_t seq) { return (static_cast<int64_t>(stream) << kSeqBits) + seq; }

// Removes the documents up to `floor`, at most `budget.messages`. True: none is left.
bool clean(Transaction& tx, StreamId stream, int64_t floor, IndexBudget& budget) {
  Statement& range = tx.query(kRangeEnd, document(stream, 0), document(stream, floor), budget.messages);
  const bool some = range.next() && !range.is_null(0);
  const int64_t last = some ? range.integer(0) : 0;
  const int64_t count = some ? range.integer(1) : 0;
  if (count > 0) {
    tx.execute(kRemoveRange, document(stream, 0), last);
  }
  const bool done = count < budget.messages;
  budget.messages -= count;
  return done;
}

}  // namespace

const std::span<const Sql> kSearchTables = kTables;

bool index_stream(Transaction& tx, StreamId stream, IndexBudget& budget) {
  Statement& progress = tx.query(kProgress, stream);
  if (!progress.next()) {
    return true;
  }
  const int64_t head = progress.integer(0);
  const int64_t floor = progress.integer(1);
  int64_t position = progress.integer(2);
  const int64_t cleaned = progress.integer(3);
  if (floor > cleaned && !clean(tx, stream, floor, budget)) {
    return false;
  }
  if (floor <= cleaned && position >= head) {
    return true;
  }
  position = std::max(position, floor);
  struct Document {
    int64_t seq;
    std::string text;
  };
  std::vector<Document> documents;
  Statement& rows = tx.query(kUnindexed, stream, position, std::max<int64_t>(budget.messages, 1));
  while (budget.messages > 0 && budget.bytes > 0 && rows.next()) {
    position = rows.integer(0);
    --budget.messages;
    if (static_cast<EntryKind>(rows.integer(1)) == EntryKind::message && rows.integer(2) == 0) {
      documents.push_back({position, std::string(indexed_part(rows.text(3)))});
      budget.bytes -= static_cast<int64_t>(documents.back().text.size());
    }
  }
  for (const Document& one : documents) {
    tx.execute(kInsert, document(stream, one.seq), one.text);
  }
  tx.execute(kSetProgress, stream, position, floor);
  return position >= head;
}

std::vector<StreamId> streams_to_index(Transaction& tx, StreamId after, StreamId until) {
  std::vector<StreamId> streams;
  for (Statement& rows = tx.query(kBehind, after, until, stream::StreamKind::conversation); rows.next();) {
    streams.push_back(static_cast<StreamId>(rows.integer(0)));
  }
  return streams;
}

void reindex(Transaction& tx, StreamId stream, int64_t seq, std::string_view content) {
  Statement& rows = tx.query(kPosition, stream);
  const bool indexed = rows.next() && rows.integer(0) >= seq;
  if (indexed) {
    tx.execute(kRemove, document(stream, seq));
    tx.execute(kInsert, document(stream, seq), indexed_part(content));
  }
}

void remove_from_index(Transaction& tx, StreamId stream, int64_t seq) { tx.execute(kRemove, document(stream, seq)); }

void remove_from_index_up_to(Transaction& tx, StreamId stream, int64_t floor) {
  tx.execute(kRemoveRange, document(stream, 0), document(stream, floor));
  tx.execute(kSetFloor, floor, stream);
}

bool merge_index(Transaction& tx, bool whole) {
  const auto changes = [&] {
    Statement& row = tx.query(kTotalChanges);
    return row.next() ? row.integer(0) : 0;
  };
  const int64_t before = changes();
  tx.execute(kMerge, whole ? -kMergePages : kMergePages);
  return changes() - before >= 2;  // as FTS5's documentation says
}

std::vector<int64_t> find_text(Transaction& tx, StreamId stream, std::string_view query, int64_t before, int64_t limit) {
  std::vector<int64_t> found;
  const int64_t end = document(stream, std::min(before, (int64_t{1} << kSeqBits) - 1));
  for (Statement& rows = tx.query(kFind, query, document(stream, 0), end, limit); rows.next();) {
    found.push_back(rows.integer(0) - document(stream, 0));
  }
  return found;
}

int64_t first_later(Transaction& tx, StreamId stream, int64_t floor, int64_t time_ms) {
  const auto is_later = [&](int64_t seq, int64_t& actual) {
    Statement& row = tx.query(kNewestUpTo, stream, seq);
    const bool some = row.next();
    actual = some ? row.integer(0) : 0;
    return some && row.integer(1) > time_ms;
  };
  int64_t later = INT64_MAX;
  if (!is_later(INT64_MAX, later)) {
    return INT64_MAX;
  }
  // `later` is later than that time, `not_later` is not.
  for (int64_t not_later = floor; later - not_later > 1;) {
    const int64_t middle = not_later + (later - not_later) / 2;
    int64_t actual = 0;
    if (is_later(middle, actual)) {
      later = actual;
    } else {
      not_later = middle;
    }
  }
  return later;
}

std::vector<Searchable> searchable(Transaction& tx, const UserKey& user, int64_t limit) {
  std::vector<Searchable> result;
  for (Statement& rows = tx.query(kSearchable, user.tenant.str(), user.user.str(), limit); rows.next();) {
    result.push_back({static_cast<StreamId>(rows.integer(0)), ConversationId(rows.string(1)), rows.integer(2),
                      rows.integer(3)});
  }
  return result;
}

}  // namespace tidemark::conversation::store
