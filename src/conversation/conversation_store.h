// Conversations, members and what became of messages, in the database. Private to the conversation room.
#pragma once

#include "conversation/model.h"

namespace tidemark::conversation::store {

std::optional<Details> find(storage::Transaction& tx, const ConversationKey& key);
std::optional<Details> find_by_stream(storage::Transaction& tx, stream::StreamId stream);
Members members(storage::Transaction& tx, stream::StreamId stream);
std::optional<Member> member(storage::Transaction& tx, stream::StreamId stream, const UserId& user);

void insert(storage::Transaction& tx, const TenantId& tenant, const Details& details, std::string_view client_id,
            int64_t hash);
struct Created {
  Details details;
  int64_t hash = 0;
};
std::optional<Created> find_client_id(storage::Transaction& tx, const UserKey& creator, std::string_view client_id);
void set_details(storage::Transaction& tx, stream::StreamId stream, std::string_view title, std::string_view metadata);
void mark_deleted(storage::Transaction& tx, stream::StreamId stream);

void insert_member(storage::Transaction& tx, const TenantId& tenant, stream::StreamId stream, const UserId& user,
                   const Member& member);
void delete_member(storage::Transaction& tx, stream::StreamId stream, const UserId& user);
void set_role(storage::Transaction& tx, stream::StreamId stream, const UserId& user, Role role);
// False: it was there already, or further.
bool set_read(storage::Transaction& tx, stream::StreamId stream, const UserId& user, int64_t seq);
void note_own_message(storage::Transaction& tx, stream::StreamId stream, std::string_view user);
void set_delivered(storage::Transaction& tx, stream::StreamId stream, const UserId& user, int64_t seq);

// Entries after `after` up to `until` (replay), or before `before` (the newest first), with their states. With `bytes`
// the reading ends with the entry that uses them up, and they are 0 then.
struct Row {
  stream::Entry entry;
  MessageState state;
};
std::vector<Row> entries_after(storage::Transaction& tx, stream::StreamId stream, int64_t after, int64_t until,
                               int64_t limit, std::string_view viewer, bool messages_only, size_t* bytes = nullptr);
std::vector<Row> entries_before(storage::Transaction& tx, stream::StreamId stream, int64_t before, int64_t limit,
                                std::string_view viewer, bool messages_only, size_t* bytes = nullptr);
std::optional<Row> entry(storage::Transaction& tx, stream::StreamId stream, int64_t seq, std::string_view viewer);

void note_edit(storage::Transaction& tx, stream::StreamId stream, int64_t seq, std::string_view content,
               int64_t edited_at);
// Removes the stored text of the message and of its edits.
void note_deletion(storage::Transaction& tx, stream::StreamId stream, int64_t seq);
void note_reaction(storage::Transaction& tx, stream::StreamId stream, int64_t seq, const UserId& user,
                   std::string_view name, bool remove);
int64_t reaction_names(storage::Transaction& tx, stream::StreamId stream, int64_t seq);
void forget_states(storage::Transaction& tx, stream::StreamId stream, int64_t floor);

// The user's conversations for a connection: `floor` of a deleted one leaves only its last entry.
struct Followed {
  Details details;
  int64_t joined_seq = 0;
};
std::vector<Followed> followed(storage::Transaction& tx, const UserKey& user);

struct Listed {
  Details details;
  int64_t read_seq = 0;
  int64_t unread = 0;
  std::optional<Row> last_message;
};
// Newest activity first, after the position (`updated_at`, stream) of the last one of the page before.
std::vector<Listed> list(storage::Transaction& tx, const UserKey& user, int64_t before_time, int64_t before_stream,
                         int64_t limit);
std::vector<std::string> contacts(storage::Transaction& tx, const UserKey& user, size_t limit);
// The other member of a direct conversation, the viewer where there is none; nothing of a group.
std::optional<std::string> peer_of(storage::Transaction& tx, stream::StreamId stream, const UserId& viewer);
std::vector<std::string> contacts_among(storage::Transaction& tx, const UserKey& user,
                                        const std::vector<std::string>& others);

}  // namespace tidemark::conversation::store
