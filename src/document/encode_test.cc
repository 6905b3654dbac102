#include "document/encode.h"

#include <gtest/gtest.h>

namespace tidemark::document {
namespace {

Operation operation() {
  Operation operation;
  operation.id = "op-1";
  operation.doc_id = "doc";
  operation.user_id = "al\"ice";
  operation.session_id = "s";
  operation.type = "update";
  operation.data = R"({"id":"r","x":1.5,"t":"ä🙂"})";
  operation.timestamp = 1700;
  operation.version = 7;
  operation.prev_version = 5;
  operation.status = OperationStatus::resolved;
  operation.client_id = "c";
  operation.metadata.ip = "::1";
  operation.metadata.extra = {{"after", "op-0"}, {"on_lock", "wait"}};
  operation.fence = 3;
  return operation;
}

stream::Entry entry(EntryKind kind, std::string body) {
  stream::Entry entry;
  entry.seq = 9;
  entry.kind = static_cast<int>(kind);
  entry.ordinal = 6;
  entry.author = "alice";
  entry.time_ms = 1700;
  entry.body = std::move(body);
  return entry;
}

void expect_same(const Operation& a, const Operation& b) { EXPECT_EQ(operation_json(a), operation_json(b)); }

TEST(DocumentEncode, AnOperationComesBackAsItWas) {
  const auto back = operation_in(operation_body(operation()));
  ASSERT_TRUE(back);
  expect_same(*back, operation());
  EXPECT_EQ(back->user_id, "al\"ice");
  EXPECT_EQ(back->metadata.extra.at("after"), "op-0");
  EXPECT_EQ(back->status, OperationStatus::resolved);
}

TEST(DocumentEncode, AConflictComesBackWithEveryValueThatLost) {
  Conflict conflict;
  conflict.id = "c";
  conflict.doc_id = "doc";
  conflict.ops = {operation(), operation()};
  conflict.resolution = "lww";
  conflict.resolved_by = "system:lww";
  conflict.resolved_op = operation();
  conflict.resolved_at = 5;
  conflict.kind = "write_write";
  conflict.path = "r.x";
  conflict.base = "null";
  conflict.ours = R"({"a":[1,2]})";
  const auto back = conflict_in(conflict_body(conflict));
  ASSERT_TRUE(back);
  EXPECT_EQ(conflict_json(*back), conflict_json(conflict));
  EXPECT_EQ(back->ops.size(), 2u);
  EXPECT_EQ(back->base, "null");
  EXPECT_EQ(back->theirs, "") << "a value that is not there stays so";
}

TEST(DocumentEncode, AnEventIsReadFromItsFrame) {
  const auto event = event_of(event_json("doc", entry(EntryKind::operation_applied, operation_body(operation()))));
  ASSERT_TRUE(event);
  EXPECT_EQ(event->type, "operation_applied");
  EXPECT_EQ(event->id, "doc.9");
  EXPECT_EQ(event->seq, 9);
  EXPECT_EQ(event->version, 7) << "one more than the operations up to it";
  EXPECT_EQ(event->user_id, "alice");
  ASSERT_TRUE(event->operation);
  expect_same(*event->operation, operation());
}

TEST(DocumentEncode, AReleaseSaysWhy) {
  Lock lock;
  lock.id = "l";
  lock.fence = 4;
  lock.expires_at = 99;
  const auto event = event_of(event_json("doc", entry(EntryKind::lock_released, lock_body(lock, "expired"))));
  ASSERT_TRUE(event && event->lock);
  EXPECT_EQ(event->data.at("reason"), "expired");
  EXPECT_EQ(event->lock->fence, 4);
  EXPECT_EQ(event->lock->expires_at, 99);
}

TEST(DocumentEncode, WhatIsOnlyToldHasNoNumber) {
  const auto event = event_of(told_json("doc", "user_left", "bob", 0, 3, 1, {}));
  ASSERT_TRUE(event);
  EXPECT_EQ(event->seq, 0);
  EXPECT_EQ(event->version, 3);
  EXPECT_EQ(event->user_id, "bob");
}

TEST(DocumentEncode, OtherFramesAreNoEvents) {
  EXPECT_FALSE(event_of(R"({"type":"gap","conversation_id":"doc","after_seq":1,"next_seq":5})"));
  EXPECT_FALSE(event_of(R"({"type":"awareness"})"));
  EXPECT_FALSE(event_of("{"));
}

TEST(DocumentEncode, ADocumentsContentIsAValueOfItsKind) {
  Document document;
  document.type = Type::text;
  document.content = "a \"text\"";
  document.metadata.permissions.emplace();
  EXPECT_NE(document_json(document, true).find(R"("content":"a \"text\"")"), std::string::npos);
  document.type = Type::sheet;
  document.content = R"({"r":{}})";
  EXPECT_NE(document_json(document, true).find(R"("content":{"r":{}})"), std::string::npos);
  EXPECT_EQ(document_json(document, false).find("content"), std::string::npos);
}

TEST(DocumentEncode, MetadataComesBack) {
  Metadata metadata;
  metadata.tags = {"a", "b"};
  metadata.description = "d";
  metadata.properties = {{"k", "v"}};
  metadata.permissions = Permissions{"olga", {"ed"}, {"vic"}, true};
  const auto back = read_metadata(metadata_json(metadata));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(*back, metadata);
  EXPECT_FALSE(read_metadata("{}")->permissions) << "absent permissions stay";
}

TEST(DocumentEncode, DataHasOneSpelling) {
  const auto spelled = [](std::string json) {
    const auto wrong = spell_json(json, "data");
    return wrong ? "refused " + wrong->field : json;
  };
  EXPECT_EQ(spelled(R"({ "x": 1.50, "y": [1, 2] })"), R"({"x":1.5,"y":[1,2]})");
  EXPECT_EQ(spelled(R"({"x":18446744073709551616})"), "refused data") << "could be written and never be read again";
  EXPECT_EQ(spelled("{"), "refused data");
}

TEST(DocumentEncode, AClientsMistakesAreNamed) {
  const auto field = [](std::string_view json) {
    const auto read = read_operation(json);
    return read.ok() ? std::string("none") : read.error().field;
  };
  EXPECT_EQ(field(R"({"type":"create","data":{}})"), "none");
  EXPECT_EQ(field(R"({"data":{}})"), "operation.type");
  EXPECT_EQ(field(R"({"type":7})"), "operation.type");
  EXPECT_EQ(field(R"({"type":"create","data":null})"), "operation.data");
  EXPECT_EQ(field(R"({"type":"create","data":"x"})"), "operation.data");
  EXPECT_EQ(field(R"({"type":"create","prev_version":-1})"), "operation.prev_version");
  EXPECT_EQ(field(R"({"type":"create","metadata":{"extra":{"a":1}}})"), "operation.metadata.extra");
  EXPECT_EQ(field("{\"type\":\"create\",\"id\":\"" + std::string(64, 'i') + "\"}"), "none");
  EXPECT_EQ(field("{\"type\":\"create\",\"id\":\"" + std::string(65, 'i') + "\"}"), "operation.id");
  EXPECT_EQ(field("[]"), "operation");
  EXPECT_FALSE(read_metadata(R"({"tags":[""]})").ok());
  EXPECT_FALSE(read_metadata(R"({"permissions":{"public":"yes"}})").ok());
}

}  // namespace
}  // namespace tidemark::document
