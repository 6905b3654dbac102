// What of the conversations' tables belongs to one user. Private to the conversation room.
//
// Entries have no index by author, which would cost every message a page: whoever looks for all of one user walks over
// all entries of the store, page by page.
#pragma once

#include "conversation/conversation_store.h"

namespace tidemark::conversation::store {

struct Place {
  int64_t stream = 0;
  int64_t seq = 0;
};
struct OwnEntry {
  int64_t seq = 0;
  EntryKind kind = EntryKind::message;
  bool authored = false;  // false: somebody else's entry about the user's membership
};
// Entries of one stream that are the user's, and where to go on.
struct OwnEntries {
  stream::StreamId stream{};
  std::vector<OwnEntry> entries;
  Place next;
  bool end = false;  // nothing lies behind `next`
};
// Looks at up to `rows` entries behind `after`; ends with the stream in which it finds some, and at `limit` of them.
OwnEntries own_entries(storage::Transaction& tx, const UserKey& user, const Place& after, int64_t rows, size_t limit);

// The body of a membership entry with another user in it; nothing if it is about somebody else.
std::optional<std::string> renamed_body(std::string_view body, const UserId& user, const std::string& pseudonym);
void set_body(storage::Transaction& tx, stream::StreamId stream, int64_t seq, std::string_view body);
// Nothing leads from the entry to its author any more; an edit loses its text.
void anonymise(storage::Transaction& tx, stream::StreamId stream, int64_t seq, const std::string& pseudonym);

struct OwnReaction {
  int64_t seq = 0;
  std::string name;
};
std::vector<OwnReaction> own_reactions(storage::Transaction& tx, stream::StreamId stream, const UserId& user, int limit);

std::optional<ConversationId> some_membership(storage::Transaction& tx, const UserKey& user);
// Conversations between two streams that the user has made; the row without its creator.
std::vector<ConversationId> created_by(storage::Transaction& tx, const UserKey& user, int64_t after, int64_t until);
void forget_creator(storage::Transaction& tx, stream::StreamId stream, const std::string& pseudonym);

std::vector<storage::PersonalPart> personal_parts();

}  // namespace tidemark::conversation::store
