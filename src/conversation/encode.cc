#include "conversation/encode.h"

#include "core/json.h"

namespace tidemark::conversation {
namespace {

std::string_view type_of(EntryKind kind) {
  switch (kind) {
    case EntryKind::message: return "message";
    case EntryKind::message_edited: return "message_edited";
    case EntryKind::message_deleted: return "message_deleted";
    case EntryKind::reaction: return "reaction";
    case EntryKind::member_added: return "member_added";
    case EntryKind::member_removed: return "member_removed";
    case EntryKind::member_role: return "member_role";
    case EntryKind::conversation_updated: return "conversation_updated";
    case EntryKind::conversation_deleted: return "conversation_deleted";
  }
  return "unknown";
}

std::string reactions_json(const MessageState& state) {
  std::string json = "{";
  for (const MessageState::Reaction& reaction : state.reactions) {
    json += json.size() > 1 ? "," : "";
    append_json_string(json, reaction.name);
    json += ':';
    JsonWriter(json).begin().field("count", reaction.count).field("mine", reaction.mine).end();
  }
  return json + "}";
}

void write_message(JsonWriter& writer, const stream::Entry& entry, const MessageState& state) {
  writer.field("device_id", entry.device);
  if (state.deleted) {
    writer.field("deleted", true);
    return;
  }
  writer.field("content", state.edited ? state.content : entry.content).members(entry.body);
  if (state.edited) {
    writer.field("edited_at", state.edited_at);
  }
  if (!state.reactions.empty()) {
    writer.raw("reactions", reactions_json(state));
  }
}

}  // namespace

std::string message_body(std::string_view content_type, std::string_view data, int64_t reply_to) {
  std::string body;
  JsonWriter writer(body);
  writer.field("content_type", content_type);
  if (!data.empty()) {
    writer.raw("data", data);
  }
  if (reply_to > 0) {
    writer.field("reply_to", reply_to);
  }
  return body;
}

std::string target_body(int64_t target_seq) {
  std::string body;
  JsonWriter(body).field("target_seq", target_seq);
  return body;
}

std::string reaction_body(int64_t target_seq, std::string_view reaction, bool remove) {
  std::string body;
  JsonWriter(body).field("target_seq", target_seq).field("reaction", reaction).field("remove", remove);
  return body;
}

std::string member_body(std::string_view user, Role role) {
  std::string body;
  JsonWriter(body).field("user_id", user).field("role", name_of(role));
  return body;
}

std::string updated_body(std::string_view title, std::string_view metadata) {
  std::string body;
  JsonWriter(body).field("title", title).raw("metadata", metadata);
  return body;
}

std::string entry_json(const ConversationId& conversation, const stream::Entry& entry, const MessageState& state) {
  const auto kind = static_cast<EntryKind>(entry.kind);
  std::string json;
  json.reserve(256 + entry.content.size() + entry.body.size());
  JsonWriter writer(json);
  writer.begin()
      .field("type", type_of(kind))
      .field("conversation_id", conversation.str())
      .field("seq", entry.seq)
      .field("from", entry.author);
  switch (kind) {
    case EntryKind::message:
      writer.field("message_id", message_id(conversation, entry.seq));
      write_message(writer, entry, state);
      break;
    case EntryKind::message_edited:
      // An edit of a message that was deleted since has lost its text.
      writer.members(entry.body);
      if (!entry.content.empty()) {
        writer.field("content", entry.content);
      }
      break;
    default: writer.members(entry.body);
  }
  writer.field("timestamp", entry.time_ms).end();
  return json;
}

}  // namespace tidemark::conversation
