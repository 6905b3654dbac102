// The words of the conversation room. Private to it.
#pragma once

#include <map>
#include <string>

#include "conversation/conversation.h"
#include "core/gate.h"

namespace tidemark::conversation {

// What an entry is; the number is stored, never reuse one.
enum class EntryKind : int {
  message = 0,
  message_edited = 1,
  message_deleted = 2,
  reaction = 3,
  member_added = 4,
  member_removed = 5,
  member_role = 6,
  conversation_updated = 7,
  conversation_deleted = 8,
};

enum class Role : int { member = 0, admin = 1, owner = 2 };
std::string_view name_of(Role role);
std::optional<Role> role_named(std::string_view name);

enum class Kind : int { direct = 0, group = 1 };

struct Member {
  Role role = Role::member;
  int64_t joined_seq = 0;  // the member's own member_added entry; 0: from the beginning
  int64_t joined_at = 0;
  int64_t read_seq = 0;
  int64_t delivered_seq = 0;
};
using Members = std::map<UserId, Member>;

struct Details {
  stream::StreamId stream{};
  ConversationId id;
  Kind kind = Kind::direct;
  std::string title;
  std::string metadata = "{}";
  std::string created_by;
  int64_t created_at = 0;
  int64_t updated_at = 0;  // of the newest entry
  int64_t head = 0;
  int64_t floor = 0;
  bool deleted = false;
};

// What became of a message after it was sent.
struct MessageState {
  bool deleted = false;
  bool edited = false;
  std::string content;  // of the newest edit
  int64_t edited_at = 0;
  struct Reaction {
    std::string name;
    int64_t count = 0;
    bool mine = false;
  };
  std::vector<Reaction> reactions;
};

// `<conversation id>.<seq>`: names a message and says where it is.
std::string message_id(const ConversationId& conversation, int64_t seq);
struct MessageRef {
  ConversationId conversation;
  int64_t seq = 0;
};
std::optional<MessageRef> parse_message_id(std::string_view id);

// The conversation of two users (or of one with themselves): the same id from both sides.
ConversationId direct_id(const UserKey& one, const UserId& other);

}  // namespace tidemark::conversation
