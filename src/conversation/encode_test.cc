#include "conversation/encode.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "core/json.h"

namespace tidemark::conversation {
namespace {

const ConversationId kConversation("c1");

stream::Entry entry(EntryKind kind, std::string content, std::string body) {
  stream::Entry one;
  one.seq = 7;
  one.kind = static_cast<int>(kind);
  one.author = "alice";
  one.device = "phone";
  one.content = std::move(content);
  one.body = std::move(body);
  one.time_ms = 1700;
  return one;
}

// How a frame of this type begins.
std::string head(const std::string& type) {
  return R"({"type":")" + type + R"(","conversation_id":"c1","seq":7,"from":"alice",)";
}

std::string frame(const stream::Entry& one, const MessageState& state = {}) {
  const std::string json = entry_json(kConversation, one, state);
  simdjson::dom::parser parser;
  EXPECT_TRUE(parse_json(parser, json, 32).ok()) << json;
  return json;
}

TEST(Encode, AMessage) {
  EXPECT_EQ(frame(entry(EntryKind::message, "hi \"there\"", message_body("text", "", 0))),
            head("message") + R"("message_id":"c1.7","device_id":"phone",)"
            R"("content":"hi \"there\"","content_type":"text","timestamp":1700})");
}

TEST(Encode, AMessageWithAllItsParts) {
  EXPECT_EQ(frame(entry(EntryKind::message, "look", message_body("image/png", R"({"file_id":"f"})", 3))),
            head("message") + R"("message_id":"c1.7","device_id":"phone",)"
            R"("content":"look","content_type":"image/png","data":{"file_id":"f"},"reply_to":3,"timestamp":1700})");
}

TEST(Encode, AnEditedMessageShowsItsNewestText) {
  MessageState state;
  state.edited = true;
  state.content = "better";
  state.edited_at = 1800;
  const std::string json = frame(entry(EntryKind::message, "good", message_body("text", "", 0)), state);
  EXPECT_NE(json.find(R"("content":"better","content_type":"text","edited_at":1800)"), std::string::npos) << json;
  EXPECT_EQ(json.find("good"), std::string::npos);
}

TEST(Encode, ADeletedMessageShowsNothingOfWhatItWas) {
  MessageState state;
  state.deleted = true;
  state.edited = true;
  state.content = "secret too";
  state.reactions = {{"+1", 2, true}};
  EXPECT_EQ(frame(entry(EntryKind::message, "secret", message_body("text", R"({"a":1})", 3)), state),
            head("message") + R"("message_id":"c1.7","device_id":"phone",)"
            R"("deleted":true,"timestamp":1700})");
}

TEST(Encode, AMessageWithReactions) {
  MessageState state;
  state.reactions = {{"+1", 2, true}, {"\"", 1, false}};
  const std::string json = frame(entry(EntryKind::message, "hi", message_body("text", "", 0)), state);
  const std::string expected = R"("reactions":{"+1":{"count":2,"mine":true},"\"":{"count":1,"mine":false}})";
  EXPECT_NE(json.find(expected), std::string::npos) << json;
}

TEST(Encode, AnEdit) {
  EXPECT_EQ(frame(entry(EntryKind::message_edited, "new", target_body(3))),
            head("message_edited") + R"("target_seq":3,"content":"new",)"
            R"("timestamp":1700})");
  EXPECT_EQ(frame(entry(EntryKind::message_edited, "", target_body(3))).find("content\""), std::string::npos)
      << "of a message that was deleted since";
}

TEST(Encode, ADeletionAndAReaction) {
  EXPECT_EQ(frame(entry(EntryKind::message_deleted, "", target_body(3))),
            head("message_deleted") + R"("target_seq":3,"timestamp":1700})");
  EXPECT_EQ(frame(entry(EntryKind::reaction, "", reaction_body(3, "+1", true))),
            head("reaction") + R"("target_seq":3,"reaction":"+1",)"
            R"("remove":true,"timestamp":1700})");
}

TEST(Encode, ChangesOfMembersAndConversations) {
  EXPECT_EQ(frame(entry(EntryKind::member_added, "", member_body("bob", Role::admin))),
            head("member_added") + R"("user_id":"bob","role":"admin",)"
            R"("timestamp":1700})");
  EXPECT_EQ(frame(entry(EntryKind::conversation_updated, "", updated_body("A \"title\"", R"({"k":"v"})"))),
            head("conversation_updated") + R"("title":"A \"title\"",)"
            R"("metadata":{"k":"v"},"timestamp":1700})");
  EXPECT_EQ(frame(entry(EntryKind::conversation_deleted, "", "")),
            head("conversation_deleted") + R"("timestamp":1700})");
}

// The type of an entry is on the wire; its number is in the store. Neither may change.
TEST(Encode, TypesOfAllKinds) {
  const std::vector<std::pair<int, std::string>> types = {
      {0, "message"},
      {1, "message_edited"},
      {2, "message_deleted"},
      {3, "reaction"},
      {4, "member_added"},
      {5, "member_removed"},
      {6, "member_role"},
      {7, "conversation_updated"},
      {8, "conversation_deleted"},
  };
  for (const auto& [number, type] : types) {
    EXPECT_TRUE(frame(entry(static_cast<EntryKind>(number), "", "")).starts_with(head(type))) << number;
  }
}

}  // namespace
}  // namespace tidemark::conversation
