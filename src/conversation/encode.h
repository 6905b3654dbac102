// Entries of a conversation as the frames clients get. Pure.
#pragma once

#include "conversation/model.h"

namespace tidemark::conversation {

// Members of the stored body, as each command builds them (stream::NewEntry::body).
std::string message_body(std::string_view content_type, std::string_view data, int64_t reply_to);
std::string target_body(int64_t target_seq);
std::string reaction_body(int64_t target_seq, std::string_view reaction, bool remove);
std::string member_body(std::string_view user, Role role);
std::string updated_body(std::string_view title, std::string_view metadata);

// The whole frame: live, in a replay, in history and over REST it is the same.
std::string entry_json(const ConversationId& conversation, const stream::Entry& entry, const MessageState& state);

}  // namespace tidemark::conversation
