#include "conversation/conversation_store.h"

#include <algorithm>
#include <unordered_set>

#include "conversation/search_store.h"

namespace tidemark::conversation {
namespace {

using storage::Sql;
using storage::Statement;
using storage::Transaction;
using stream::StreamId;

constexpr Sql kTables[] = {
    {"CREATE TABLE conversations (stream BIGINT PRIMARY KEY, tenant TEXT NOT NULL, conversation_id TEXT NOT NULL,"
     " kind INTEGER NOT NULL, title TEXT NOT NULL, metadata TEXT NOT NULL, created_by TEXT NOT NULL,"
     " created_at BIGINT NOT NULL, deleted INTEGER NOT NULL, client_id TEXT, hash BIGINT NOT NULL,"
     " UNIQUE (tenant, conversation_id))"},
    {"CREATE UNIQUE INDEX conversations_client ON conversations (tenant, created_by, client_id)"
     " WHERE client_id IS NOT NULL"},
    {"CREATE TABLE members (stream BIGINT NOT NULL, user_id TEXT NOT NULL, tenant TEXT NOT NULL, role INTEGER NOT NULL,"
     " joined_seq BIGINT NOT NULL, joined_at BIGINT NOT NULL, read_seq BIGINT NOT NULL, read_ordinal BIGINT NOT NULL,"
     " delivered_seq BIGINT NOT NULL, own_unread BIGINT NOT NULL, PRIMARY KEY (stream, user_id)) WITHOUT ROWID",
     "CREATE TABLE members (stream BIGINT NOT NULL, user_id TEXT NOT NULL, tenant TEXT NOT NULL, role INTEGER NOT NULL,"
     " joined_seq BIGINT NOT NULL, joined_at BIGINT NOT NULL, read_seq BIGINT NOT NULL, read_ordinal BIGINT NOT NULL,"
     " delivered_seq BIGINT NOT NULL, own_unread BIGINT NOT NULL, PRIMARY KEY (stream, user_id))"},
    {"CREATE INDEX members_user ON members (tenant, user_id, stream)"},
    {"CREATE TABLE message_state (stream BIGINT NOT NULL, seq BIGINT NOT NULL, deleted INTEGER NOT NULL,"
     " content TEXT, edited_at BIGINT NOT NULL, reacted INTEGER NOT NULL, PRIMARY KEY (stream, seq)) WITHOUT ROWID",
     "CREATE TABLE message_state (stream BIGINT NOT NULL, seq BIGINT NOT NULL, deleted INTEGER NOT NULL,"
     " content TEXT, edited_at BIGINT NOT NULL, reacted INTEGER NOT NULL, PRIMARY KEY (stream, seq))"},
    {"CREATE TABLE reactions (stream BIGINT NOT NULL, seq BIGINT NOT NULL, name TEXT NOT NULL, user_id TEXT NOT NULL,"
     " PRIMARY KEY (stream, seq, name, user_id)) WITHOUT ROWID",
     "CREATE TABLE reactions (stream BIGINT NOT NULL, seq BIGINT NOT NULL, name TEXT NOT NULL, user_id TEXT NOT NULL,"
     " PRIMARY KEY (stream, seq, name, user_id))"},
    // Which edits lose their text when their message is deleted.
    {"CREATE TABLE message_edits (stream BIGINT NOT NULL, target BIGINT NOT NULL, seq BIGINT NOT NULL,"
     " PRIMARY KEY (stream, target, seq)) WITHOUT ROWID",
     "CREATE TABLE message_edits (stream BIGINT NOT NULL, target BIGINT NOT NULL, seq BIGINT NOT NULL,"
     " PRIMARY KEY (stream, target, seq))"},
};
const storage::Migration kList[] = {{4, "conversations", kTables}, {8, "search", store::kSearchTables}};

#define DETAIL_COLUMNS                                                                                              \
  "c.stream, c.conversation_id, c.kind, c.title, c.metadata, c.created_by, c.created_at, s.updated_at, s.head, s.floor," \
  " c.deleted"
constexpr Sql kFind{"SELECT " DETAIL_COLUMNS
                    " FROM conversations c JOIN streams s ON s.id = c.stream"
                    " WHERE c.tenant = ? AND c.conversation_id = ?"};
constexpr Sql kFindByStream{"SELECT " DETAIL_COLUMNS
                            " FROM conversations c JOIN streams s ON s.id = c.stream WHERE c.stream = ?"};
constexpr Sql kFindClientId{"SELECT " DETAIL_COLUMNS
                            ", c.hash FROM conversations c JOIN streams s ON s.id = c.stream"
                            " WHERE c.tenant = ? AND c.created_by = ? AND c.client_id = ?"};
constexpr Sql kInsert{
    "INSERT INTO conversations (stream, tenant, conversation_id, kind, title, metadata, created_by, created_at, deleted,"
    " client_id, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?)"};
constexpr Sql kSetDetails{"UPDATE conversations SET title = ?, metadata = ? WHERE stream = ?"};
constexpr Sql kMarkDeleted{"UPDATE conversations SET deleted = 1 WHERE stream = ?"};
constexpr Sql kFloorBelowHead{"UPDATE streams SET floor = head - 1 WHERE id = ?"};
constexpr Sql kMembers{
    "SELECT user_id, role, joined_seq, joined_at, read_seq, delivered_seq FROM members WHERE stream = ?"};
constexpr Sql kMember{
    "SELECT user_id, role, joined_seq, joined_at, read_seq, delivered_seq FROM members WHERE stream = ? AND user_id = ?"};
constexpr Sql kInsertMember{
    "INSERT INTO members (stream, user_id, tenant, role, joined_seq, joined_at, read_seq, read_ordinal, delivered_seq,"
    // What was written before somebody came is not unread to them.
    " own_unread) SELECT id, ?, ?, ?, ?, ?, 0, counted, 0, 0 FROM streams WHERE id = ?"};
constexpr Sql kDeleteMember{"DELETE FROM members WHERE stream = ? AND user_id = ?"};
constexpr Sql kSetRole{"UPDATE members SET role = ? WHERE stream = ? AND user_id = ?"};
constexpr Sql kSetRead{
    "UPDATE members SET read_seq = ?, read_ordinal = coalesce((SELECT ordinal FROM entries WHERE stream = ? AND seq <= ?"
    " ORDER BY seq DESC LIMIT 1), 0), own_unread = (SELECT count(*) FROM entries WHERE stream = ? AND seq > ?"
    " AND author = ? AND kind = 0) WHERE stream = ? AND user_id = ? AND read_seq < ?"};
// A user's own messages are not unread to that user. Counted here and not by an index over all entries, which would cost
// every append a page of its own.
constexpr Sql kNoteOwn{"UPDATE members SET own_unread = own_unread + 1 WHERE stream = ? AND user_id = ?"};
constexpr Sql kSetDelivered{
    "UPDATE members SET delivered_seq = ? WHERE stream = ? AND user_id = ? AND delivered_seq < ?"};
constexpr Sql kFollowed{"SELECT " DETAIL_COLUMNS
                        ", u.joined_seq FROM members u JOIN conversations c ON c.stream = u.stream"
                        " JOIN streams s ON s.id = u.stream WHERE u.tenant = ? AND u.user_id = ?"
                        " ORDER BY s.updated_at DESC"};
constexpr Sql kList_{"SELECT " DETAIL_COLUMNS
                     ", u.read_seq, s.counted - u.read_ordinal - u.own_unread"
                     " FROM members u JOIN conversations c ON c.stream = u.stream JOIN streams s ON s.id = u.stream"
                     " WHERE u.tenant = ? AND u.user_id = ? AND c.deleted = 0"
                     " AND (s.updated_at < ? OR (s.updated_at = ? AND s.id < ?))"
                     " ORDER BY s.updated_at DESC, s.id DESC LIMIT ?"};
constexpr Sql kContact{
    "SELECT 1 FROM members a JOIN members b ON b.stream = a.stream AND b.user_id = ? JOIN conversations c"
    " ON c.stream = a.stream WHERE a.tenant = ? AND a.user_id = ? AND c.deleted = 0 LIMIT 1"};

constexpr Sql kRecent{
    "SELECT u.stream FROM members u JOIN conversations c ON c.stream = u.stream JOIN streams s ON s.id = u.stream"
    " WHERE u.tenant = ? AND u.user_id = ? AND c.deleted = 0 ORDER BY s.updated_at DESC"};
constexpr Sql kSomeMembers{"SELECT user_id FROM members WHERE stream = ? LIMIT ?"};
constexpr Sql kPeer{
    "SELECT c.kind, (SELECT m.user_id FROM members m WHERE m.stream = c.stream AND m.user_id <> ? LIMIT 1)"
    " FROM conversations c WHERE c.stream = ?"};

constexpr int kDetailColumns = 11;

Details read_details(Statement& row) {
  Details details;
  details.stream = static_cast<StreamId>(row.integer(0));
  details.id = ConversationId(row.string(1));
  details.kind = static_cast<Kind>(row.integer(2));
  details.title = row.string(3);
  details.metadata = row.string(4);
  details.created_by = row.string(5);
  details.created_at = row.integer(6);
  details.updated_at = row.integer(7);
  details.head = row.integer(8);
  details.floor = row.integer(9);
  details.deleted = row.integer(10) != 0;
  return details;
}

Member read_member(Statement& row) {
  return Member{static_cast<Role>(row.integer(1)), row.integer(2), row.integer(3), row.integer(4), row.integer(5)};
}

}  // namespace

const std::span<const storage::Migration> kMigrations = kList;

namespace store {

std::optional<Details> find(Transaction& tx, const ConversationKey& key) {
  Statement& rows = tx.query(kFind, key.tenant.str(), key.conversation.str());
  return rows.next() ? std::optional(read_details(rows)) : std::nullopt;
}

std::optional<Details> find_by_stream(Transaction& tx, StreamId stream) {
  Statement& rows = tx.query(kFindByStream, stream);
  return rows.next() ? std::optional(read_details(rows)) : std::nullopt;
}

std::optional<Created> find_client_id(Transaction& tx, const UserKey& creator, std::string_view client_id) {
  Statement& rows = tx.query(kFindClientId, creator.tenant.str(), creator.user.str(), client_id);
  if (!rows.next()) {
    return std::nullopt;
  }
  return Created{read_details(rows), rows.integer(kDetailColumns)};
}

Members members(Transaction& tx, StreamId stream) {
  Members members;
  for (Statement& rows = tx.query(kMembers, stream); rows.next();) {
    members.emplace_hint(members.end(), UserId(rows.string(0)), read_member(rows));
  }
  return members;
}

std::optional<Member> member(Transaction& tx, StreamId stream, const UserId& user) {
  Statement& rows = tx.query(kMember, stream, user.str());
  return rows.next() ? std::optional(read_member(rows)) : std::nullopt;
}

void insert(Transaction& tx, const TenantId& tenant, const Details& details, std::string_view client_id, int64_t hash) {
  const auto key = client_id.empty() ? std::nullopt : std::optional(client_id);
  tx.execute(kInsert, details.stream, tenant.str(), details.id.str(), details.kind, details.title, details.metadata,
             details.created_by, details.created_at, key, hash);
}

void set_details(Transaction& tx, StreamId stream, std::string_view title, std::string_view metadata) {
  tx.execute(kSetDetails, title, metadata, stream);
}

void mark_deleted(Transaction& tx, StreamId stream) {
  tx.execute(kMarkDeleted, stream);
  tx.execute(kFloorBelowHead, stream);
}

void insert_member(Transaction& tx, const TenantId& tenant, StreamId stream, const UserId& user, const Member& member) {
  tx.execute(kInsertMember, user.str(), tenant.str(), member.role, member.joined_seq, member.joined_at, stream);
}

void delete_member(Transaction& tx, StreamId stream, const UserId& user) { tx.execute(kDeleteMember, stream, user.str()); }

void set_role(Transaction& tx, StreamId stream, const UserId& user, Role role) {
  tx.execute(kSetRole, role, stream, user.str());
}

bool set_read(Transaction& tx, StreamId stream, const UserId& user, int64_t seq) {
  return tx.execute(kSetRead, seq, stream, seq, stream, seq, user.str(), stream, user.str(), seq) > 0;
}

void note_own_message(Transaction& tx, StreamId stream, std::string_view user) {
  tx.execute_later(kNoteOwn, stream, user);
}

void set_delivered(Transaction& tx, StreamId stream, const UserId& user, int64_t seq) {
  tx.execute(kSetDelivered, seq, stream, user.str(), seq);
}

std::vector<Followed> followed(Transaction& tx, const UserKey& user) {
  std::vector<Followed> result;
  for (Statement& rows = tx.query(kFollowed, user.tenant.str(), user.user.str()); rows.next();) {
    result.push_back({read_details(rows), rows.integer(kDetailColumns)});
  }
  return result;
}

std::vector<Listed> list(Transaction& tx, const UserKey& user, int64_t before_time, int64_t before_stream,
                         int64_t limit) {
  std::vector<Listed> result;
  for (Statement& rows =
           tx.query(kList_, user.tenant.str(), user.user.str(), before_time, before_time, before_stream, limit);
       rows.next();) {
    result.push_back({read_details(rows), rows.integer(kDetailColumns), rows.integer(kDetailColumns + 1), {}});
  }
  for (Listed& one : result) {
    auto last = entries_before(tx, one.details.stream, INT64_MAX, 1, user.user.str(), true);
    if (!last.empty()) {
      one.last_message = std::move(last[0]);
    }
  }
  return result;
}

std::vector<std::string> contacts(Transaction& tx, const UserKey& user, size_t limit) {
  std::vector<int64_t> streams;
  for (Statement& row = tx.query(kRecent, user.tenant.str(), user.user.str()); row.next();) {
    streams.push_back(row.integer(0));
  }
  // Conversations overlap; however they do, no more than some multiple of the limit is looked at.
  size_t looks = limit * 10;
  std::vector<std::string> found;
  std::unordered_set<std::string> known{user.user.str()};
  for (const int64_t stream : streams) {
    for (Statement& row = tx.query(kSomeMembers, stream, limit + 1); row.next() && looks > 0; --looks) {
      if (found.size() == limit) {
        return found;
      }
      if (known.insert(row.string(0)).second) {
        found.push_back(row.string(0));
      }
    }
  }
  return found;
}

std::optional<std::string> peer_of(Transaction& tx, StreamId stream, const UserId& viewer) {
  Statement& row = tx.query(kPeer, viewer.str(), stream);
  if (!row.next() || static_cast<Kind>(row.integer(0)) != Kind::direct) {
    return std::nullopt;
  }
  return row.is_null(1) ? viewer.str() : row.string(1);
}

std::vector<std::string> contacts_among(Transaction& tx, const UserKey& user, const std::vector<std::string>& others) {
  std::vector<std::string> contacts;
  for (const std::string& other : others) {
    if (tx.query(kContact, other, user.tenant.str(), user.user.str()).next()) {
      contacts.push_back(other);
    }
  }
  return contacts;
}

}  // namespace store
}  // namespace tidemark::conversation
