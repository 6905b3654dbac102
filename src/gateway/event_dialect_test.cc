#include "gateway/event_dialect.h"

#include <gtest/gtest.h>

#include "core/json.h"

namespace tidemark::gateway::events {
namespace {

struct Taken {
  std::string native;  // or "code field"
  Said said;
};

Taken take(const std::string& frame) {
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  EXPECT_EQ(parser.parse(frame).get(object), simdjson::SUCCESS) << frame;
  auto command = to_native(object);
  if (!command.ok()) {
    return {(command.error().code == Code::missing_field ? "missing " : "invalid ") + command.error().field, {}};
  }
  return {command->native, command->said};
}
std::string native_of(const std::string& frame) { return take(frame).native; }

TEST(EventDialect, AMessageNamesItsReceiverOrItsGroup) {
  const std::string message =
      R"({"type":"message","conversation_id":"c","seq":3,"from":"alice","message_id":"c.3","device_id":"phone",)"
      R"("content":"hi","content_type":"text","timestamp":5})";
  EXPECT_EQ(from_native(message, "bob"),
            R"({"event":"private_message","data":{"id":"c.3","sender_id":"alice","receiver_id":"bob","content":"hi",)"
            R"("type":"text","conversation_id":"c","seq":3,"timestamp":5}})");
  EXPECT_EQ(from_native(message, ""),
            R"({"event":"group_message","data":{"id":"c.3","sender_id":"alice","group_id":"c","content":"hi",)"
            R"("type":"text","conversation_id":"c","seq":3,"timestamp":5}})");
}

TEST(EventDialect, AFileComesOutOfTheDataAndWhatElseIsThereStays) {
  const std::string head = R"({"type":"message","conversation_id":"c","seq":3,"from":"a","message_id":"c.3",)";
  EXPECT_EQ(from_native(head + R"("content":"x","content_type":"file","data":{"file_id":"7"},"timestamp":5})", "b"),
            R"({"event":"private_message","data":{"id":"c.3","sender_id":"a","receiver_id":"b","content":"x",)"
            R"("type":"file","file_id":7,"conversation_id":"c","seq":3,"timestamp":5}})");
  EXPECT_EQ(from_native(head + R"("content":"x","content_type":"file","data":{"file_id":"f","w":1},"reply_to":2,)"
                               R"("edited_at":9,"reactions":{"+":{"count":1,"mine":true}},"timestamp":5})",
                        "b"),
            R"({"event":"private_message","data":{"id":"c.3","sender_id":"a","receiver_id":"b","content":"x",)"
            R"("type":"file","file_id":"f","data":{"file_id":"f","w":1},"reply_to":2,"edited_at":9,)"
            R"("reactions":{"+":{"count":1,"mine":true}},"conversation_id":"c","seq":3,"timestamp":5}})");
  EXPECT_EQ(from_native(head + R"("deleted":true,"timestamp":5})", "b"),
            R"({"event":"private_message","data":{"id":"c.3","sender_id":"a","receiver_id":"b","deleted":true,)"
            R"("conversation_id":"c","seq":3,"timestamp":5}})");
}

TEST(EventDialect, OtherFramesAreTheirTypeAndTheRest) {
  EXPECT_EQ(from_native(R"({"type":"synced"})", ""), R"({"event":"synced","data":{}})");
  EXPECT_EQ(from_native(R"({"type":"presence","user_id":"a","online":true,"devices":1,"last_seen":4})", ""),
            R"({"event":"user_online_status","data":{"user_id":"a","is_online":true}})");
  EXPECT_EQ(from_native(R"({"type":"typing","conversation_id":"c","user_id":"12","device_id":"d","is_typing":true})", ""),
            R"({"event":"user_typing","data":{"conversation_id":"c","user_id":12,"device_id":"d","is_typing":true}})");
  EXPECT_EQ(from_native(R"({"type":"sync","event":"e","data":{"id":"5","type":"t"},"seq":1})", ""),
            R"({"event":"sync","data":{"event":"e","data":{"id":"5","type":"t"},"seq":1}})")
      << "the data of an application is its own";
}

TEST(EventDialect, IdsAreNumbersWhereANumberSaysThemExactly) {
  const auto sent_back = [](const std::string& id) {
    const std::string event = from_native(R"({"type":"x","user_id":")" + id + "\"}", "");
    return event.substr(event.find("user_id") + 9, event.size() - event.find("user_id") - 11);
  };
  EXPECT_EQ(sent_back("0"), "0");
  EXPECT_EQ(sent_back("42"), "42");
  EXPECT_EQ(sent_back("18446744073709551615"), "18446744073709551615");
  for (const char* id : {"18446744073709551616", "007", "-1", "+1", "1.0", "1e3", "4x", " 4"}) {
    EXPECT_EQ(sent_back(id), "\"" + std::string(id) + "\"");
  }
}

TEST(EventDialect, SendEventsBecomeMessages) {
  const Taken sent = take(
      R"({"event":"send_private_message","data":{"receiver_id":18446744073709551615,"content":"x","type":"text","n":[1]}})");
  EXPECT_EQ(sent.native, R"({"type":"message","to":"18446744073709551615","content":"x","content_type":"text"})");
  EXPECT_EQ(sent.said.echo, R"("receiver_id":18446744073709551615,"content":"x","type":"text","n":[1])");
  EXPECT_FALSE(sent.said.has_id);
  EXPECT_EQ(native_of(R"({"event":"send_group_message","data":{"id":7,"group_id":"g","content":"x","file_id":12}})"),
            R"({"type":"message","id":"7","conversation_id":"g","content":"x","data":{"file_id":"12"}})");
}

TEST(EventDialect, TypingSaysYesUnlessItSaysNo) {
  EXPECT_EQ(native_of(R"({"event":"user_typing","data":{"receiver_id":5}})"),
            R"({"type":"typing","to":"5","is_typing":true})");
  EXPECT_EQ(native_of(R"({"event":"user_typing","data":{"conversation_id":"c","is_typing":false}})"),
            R"({"type":"typing","conversation_id":"c","is_typing":false})");
}

TEST(EventDialect, EveryNativeCommandIsAnEventToo) {
  EXPECT_EQ(native_of(R"({"event":"ping"})"), R"({"type":"ping"})");
  EXPECT_EQ(native_of(R"({"event":"watch","data":{"users":[1,"b",null],"type":"x"}})"),
            R"({"type":"watch","users":["1","b",null]})");
  EXPECT_EQ(native_of(R"({"event":"history","data":{"id":1,"conversation_id":2,"limit":3}})"),
            R"({"type":"history","id":"1","conversation_id":"2","limit":3})");
  EXPECT_EQ(native_of("{\"event\":\"a\\\"b\",\"data\":{\"c\\\"d\":1}}"), "{\"type\":\"a\\\"b\",\"c\\\"d\":1}");
}

TEST(EventDialect, WrongShapesAreNamedAsTheClientKnowsThem) {
  EXPECT_EQ(native_of(R"({"data":{}})"), "missing event");
  EXPECT_EQ(native_of(R"({"event":null})"), "missing event");
  EXPECT_EQ(native_of(R"({"event":5})"), "invalid event");
  EXPECT_EQ(native_of(R"({"event":"ping","data":null})"), "invalid data");
  EXPECT_EQ(native_of(R"({"event":"ping","data":[]})"), "invalid data");
  EXPECT_EQ(native_of(R"({"event":"send_private_message","data":{"content":"x"}})"), "missing receiver_id");
  EXPECT_EQ(native_of(R"({"event":"send_private_message","data":{"receiver_id":null}})"), "missing receiver_id");
  EXPECT_EQ(native_of(R"({"event":"send_group_message"})"), "missing group_id");
  for (const char* file : {"\"\"", "{}", "-1", "1.5", "null"}) {
    EXPECT_EQ(native_of(R"({"event":"send_group_message","data":{"group_id":"g","file_id":)" + std::string(file) + "}}"),
              "invalid file_id")
        << file;
  }
  const std::string longest(1024, 'f');
  const std::string start = R"({"event":"send_group_message","data":{"group_id":"g","file_id":")";
  EXPECT_EQ(native_of(start + longest + "f\"}}"), "invalid file_id");
  EXPECT_NE(native_of(start + longest + "\"}}"), "invalid file_id");
  EXPECT_EQ(native_of(start + "f\",\"file_id\":\"f\"}}"), "invalid file_id");

  Said said;
  said.event = "send_group_message";
  EXPECT_EQ(field_name(said, "conversation_id"), "group_id");
  EXPECT_EQ(field_name(said, "content_type"), "type");
  EXPECT_EQ(field_name(said, "data"), "file_id");
  EXPECT_EQ(field_name(said, "content"), "content");
  const auto typing = take(R"({"event":"user_typing","data":{"group_id":"g","is_typing":5}})").said;
  EXPECT_EQ(field_name(typing, "conversation_id"), "group_id") << "as the client said it";
  EXPECT_EQ(field_name(take(R"({"event":"user_typing","data":{}})").said, "to"), "receiver_id");
  EXPECT_EQ(field_name({}, "type"), "event");
  EXPECT_EQ(field_name({}, "conversation_id"), "conversation_id");
}

TEST(EventDialect, TheAnswerIsTheDataAsSentAndThePlaceInTheLog) {
  const std::string sent = R"("conversation_id":"12","message_id":"12.3","seq":3,"timestamp":5)";
  Said said;
  said.echo = R"("group_id":"12","content":"x")";
  EXPECT_EQ(message_sent(said, sent),
            R"({"event":"message_sent","data":{"group_id":"12","content":"x","id":"12.3","conversation_id":12,)"
            R"("message_id":"12.3","seq":3,"timestamp":5}})");
  said.echo = R"("id":"mine")";
  said.has_id = true;
  EXPECT_EQ(message_sent(said, sent + R"(,"duplicate":true)"),
            R"({"event":"message_sent","data":{"id":"mine","conversation_id":12,"message_id":"12.3","seq":3,)"
            R"("timestamp":5,"duplicate":true}})");
}

TEST(EventDialect, WhatTheAnswerSaysItselfIsNotTakenFromTheClient) {
  const Taken sent = take(
      R"({"event":"send_private_message","data":{"receiver_id":"b","content":"x","seq":1,"message_id":2,"timestamp":3}})");
  EXPECT_EQ(sent.said.echo, R"("receiver_id":"b","content":"x")");
}

}  // namespace
}  // namespace tidemark::gateway::events
