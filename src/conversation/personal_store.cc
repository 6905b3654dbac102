#include "conversation/personal_store.h"

#include <charconv>

#include "conversation/encode.h"
#include "core/json.h"

namespace tidemark::conversation::store {
namespace {

using storage::PersonalPage;
using storage::Sql;
using storage::Statement;
using storage::Transaction;
using stream::StreamId;

constexpr int64_t kRowsPerPage = 2000;  // looked at
constexpr size_t kOwnPerPage = 100;
constexpr size_t kBytesPerPage = 1024 * 1024;

constexpr Sql kWalk{
    "SELECT stream, seq, kind, author, CASE WHEN kind IN (4, 5, 6) THEN body ELSE '' END FROM entries"
    " WHERE (stream, seq) > (?, ?) ORDER BY stream, seq LIMIT ?"};
constexpr Sql kIsConversation{"SELECT 1 FROM streams WHERE id = ? AND tenant = ? AND kind = ?"};
constexpr Sql kSetBody{"UPDATE entries SET body = ? WHERE stream = ? AND seq = ?"};
constexpr Sql kAnonymise{
    "UPDATE entries SET author = ?, device = '', client_id = NULL, hash = 0,"
    " content = CASE WHEN kind = 1 THEN '' ELSE content END WHERE stream = ? AND seq = ?"};
constexpr Sql kReactions{"SELECT seq, name FROM reactions WHERE stream = ? AND user_id = ? ORDER BY seq LIMIT ?"};
constexpr Sql kMembership{
    "SELECT c.conversation_id FROM members u JOIN conversations c ON c.stream = u.stream"
    " WHERE u.tenant = ? AND u.user_id = ? LIMIT 1"};
constexpr Sql kCreatedBy{
    "SELECT conversation_id FROM conversations WHERE stream > ? AND stream <= ? AND tenant = ? AND created_by = ?"};
constexpr Sql kForgetCreator{"UPDATE conversations SET created_by = ?, client_id = NULL, hash = 0 WHERE stream = ?"};
constexpr Sql kMemberships{
    "SELECT u.stream, c.conversation_id, c.kind, c.title, u.role, u.joined_at, u.read_seq, u.delivered_seq, c.deleted"
    " FROM members u JOIN conversations c ON c.stream = u.stream"
    " WHERE u.tenant = ? AND u.user_id = ? AND u.stream > ? ORDER BY u.stream LIMIT ?"};

bool is_conversation(Transaction& tx, int64_t stream, const TenantId& tenant) {
  return tx.query(kIsConversation, stream, tenant.str(), stream::StreamKind::conversation).next();
}

int64_t number(std::string_view text) {
  int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

PersonalPage read_memberships(Transaction& tx, const UserKey& user, const std::string& position) {
  PersonalPage page;
  for (Statement& row =
           tx.query(kMemberships, user.tenant.str(), user.user.str(), number(position), int64_t{kOwnPerPage});
       row.next();) {
    JsonWriter(page.rows.emplace_back())
        .begin()
        .field("conversation_id", row.text(1))
        .field("kind", static_cast<Kind>(row.integer(2)) == Kind::direct ? "direct" : "group")
        .field("title", row.text(3))
        .field("role", name_of(static_cast<Role>(row.integer(4))))
        .field("joined_at", row.integer(5))
        .field("read_seq", row.integer(6))
        .field("delivered_seq", row.integer(7))
        .field("deleted", row.integer(8) != 0)
        .end();
    page.next = std::to_string(row.integer(0));
  }
  if (page.rows.size() < kOwnPerPage) {
    page.next.clear();
  }
  return page;
}

// Everything the user wrote or did, also where they are no member any more, and what others did with their membership.
// The position is "<stream> <seq>".
PersonalPage read_entries(Transaction& tx, const UserKey& user, const std::string& position) {
  PersonalPage page;
  const size_t space = position.find(' ');
  const Place after{number(position), space == std::string::npos ? 0 : number(std::string_view(position).substr(space + 1))};
  const OwnEntries own = own_entries(tx, user, after, kRowsPerPage, kOwnPerPage);
  Place next = own.next;
  const auto details = own.entries.empty() ? std::nullopt : find_by_stream(tx, own.stream);
  size_t bytes = 0;
  for (const OwnEntry& one : own.entries) {
    const auto row = details ? entry(tx, own.stream, one.seq, user.user.str()) : std::nullopt;
    if (!row) {
      continue;
    }
    page.rows.push_back(entry_json(details->id, row->entry, row->state));
    bytes += page.rows.back().size();
    if (bytes > kBytesPerPage) {
      next = {static_cast<int64_t>(own.stream), one.seq};
      break;
    }
  }
  if (!own.end || bytes > kBytesPerPage) {
    page.next = std::to_string(next.stream) + " " + std::to_string(next.seq);
  }
  return page;
}

}  // namespace

OwnEntries own_entries(Transaction& tx, const UserKey& user, const Place& after, int64_t rows, size_t limit) {
  OwnEntries result;
  result.next = after;
  int64_t known = 0;  // the stream that was looked at last: a conversation of the tenant
  while (rows > 0) {
    Statement& row = tx.query(kWalk, result.next.stream, result.next.seq, rows);
    bool skipped = false;
    while (!skipped && rows > 0) {
      if (!row.next()) {
        result.end = true;
        return result;
      }
      --rows;
      const int64_t stream = row.integer(0);
      if (stream != known) {
        if (!result.entries.empty()) {
          return result;  // of one stream only
        }
        skipped = !is_conversation(tx, stream, user.tenant);
        known = skipped ? known : stream;
      }
      result.next = {stream, skipped ? INT64_MAX : row.integer(1)};
      const bool authored = row.text(3) == user.user.str();
      if (!skipped && (authored || renamed_body(row.text(4), user.user, ""))) {
        result.stream = static_cast<StreamId>(stream);
        result.entries.push_back({row.integer(1), static_cast<EntryKind>(row.integer(2)), authored});
        if (result.entries.size() >= limit) {
          return result;
        }
      }
    }
  }
  return result;
}

std::optional<std::string> renamed_body(std::string_view body, const UserId& user, const std::string& pseudonym) {
  const auto beginning = [](std::string_view id) {
    std::string text = "\"user_id\":";
    append_json_string(text, id);
    return text + ",";
  };
  const std::string mine = beginning(user.str());
  if (!body.starts_with(mine)) {
    return std::nullopt;
  }
  return beginning(pseudonym) + std::string(body.substr(mine.size()));
}

void set_body(Transaction& tx, StreamId stream, int64_t seq, std::string_view body) {
  tx.execute(kSetBody, body, stream, seq);
}

void anonymise(Transaction& tx, StreamId stream, int64_t seq, const std::string& pseudonym) {
  tx.execute(kAnonymise, pseudonym, stream, seq);
}

std::vector<OwnReaction> own_reactions(Transaction& tx, StreamId stream, const UserId& user, int limit) {
  std::vector<OwnReaction> reactions;
  for (Statement& rows = tx.query(kReactions, stream, user.str(), limit); rows.next();) {
    reactions.push_back({rows.integer(0), rows.string(1)});
  }
  return reactions;
}

std::optional<ConversationId> some_membership(Transaction& tx, const UserKey& user) {
  Statement& rows = tx.query(kMembership, user.tenant.str(), user.user.str());
  return rows.next() ? std::optional(ConversationId(rows.string(0))) : std::nullopt;
}

std::vector<ConversationId> created_by(Transaction& tx, const UserKey& user, int64_t after, int64_t until) {
  std::vector<ConversationId> conversations;
  for (Statement& rows = tx.query(kCreatedBy, after, until, user.tenant.str(), user.user.str()); rows.next();) {
    conversations.emplace_back(rows.string(0));
  }
  return conversations;
}

void forget_creator(Transaction& tx, StreamId stream, const std::string& pseudonym) {
  tx.execute(kForgetCreator, pseudonym, stream);
}

std::vector<storage::PersonalPart> personal_parts() {
  return {{"conversations", read_memberships}, {"entries", read_entries}};
}

}  // namespace tidemark::conversation::store
