#include "app/bench/document_replica.h"

#include <gtest/gtest.h>

namespace tidemark::app {
namespace {

class DocumentReplicaTest : public testing::Test {
 protected:
  DocumentReplica made(DocumentKind kind, std::string_view content) {
    auto replica = DocumentReplica::from_content(kind, element(content));
    EXPECT_TRUE(replica.ok());
    return std::move(*replica);
  }
  Status apply(DocumentReplica& replica, std::string_view type, std::string_view data) {
    return replica.apply(type, element(data));
  }

 private:
  simdjson::dom::element element(std::string_view json) {
    return parser_.parse(json.data(), json.size()).value_unsafe();
  }
  simdjson::dom::parser parser_;
};

TEST_F(DocumentReplicaTest, CountsCodePointsOfATextAndKeepsEveryByte) {
  DocumentReplica text = made(DocumentKind::text, R"("aé漢😀")");
  EXPECT_EQ(text.length(), 4U);
  ASSERT_TRUE(apply(text, "text", R"({"ops":[1,"\"x😀",{"d":1},1,"é"]})").ok());
  EXPECT_EQ(text.content_json(), "\"a\\\"x😀漢é😀\"");
  EXPECT_EQ(text.length(), 7U);
}

TEST_F(DocumentReplicaTest, RefusesWhatDoesNotFitAText) {
  DocumentReplica text = made(DocumentKind::text, R"("ab")");
  EXPECT_FALSE(apply(text, "text", R"({"ops":[3]})").ok());
  EXPECT_FALSE(apply(text, "text", R"({"ops":[1,{"d":2}]})").ok());
  EXPECT_FALSE(apply(text, "update", R"({"content":"x"})").ok());
  simdjson::dom::parser parser;
  EXPECT_FALSE(DocumentReplica::from_content(DocumentKind::text, parser.parse(std::string("{}")).value_unsafe()).ok());
}

TEST_F(DocumentReplicaTest, WritesObjectsInTheOrderOfTheirNames) {
  DocumentReplica board = made(DocumentKind::whiteboard, R"({"b":{"x":1,"style":{"fill":"red"}}})");
  ASSERT_TRUE(apply(board, "create", R"({"id":"a","y":2,"x":1,"style":{"width":3}})").ok());
  ASSERT_TRUE(apply(board, "move", R"({"id":"b","x":5,"y":6})").ok());
  ASSERT_TRUE(apply(board, "style", R"({"id":"b","style":{"width":9,"fill":null}})").ok());
  EXPECT_EQ(board.content_json(), R"({"a":{"style":{"width":3},"x":1,"y":2},"b":{"style":{"width":9},"x":5,"y":6}})");
  ASSERT_TRUE(apply(board, "delete", R"({"id":"a"})").ok());
  EXPECT_EQ(board.content_json(), R"({"b":{"style":{"width":9},"x":5,"y":6}})");
}

TEST_F(DocumentReplicaTest, RefusesWhatDoesNotFitAWhiteboard) {
  DocumentReplica empty = made(DocumentKind::whiteboard, "{}");
  EXPECT_FALSE(apply(empty, "move", R"({"id":"a","x":1,"y":2})").ok());
  DocumentReplica board = made(DocumentKind::whiteboard, R"({"a":{}})");
  EXPECT_FALSE(apply(board, "create", R"({"id":"a"})").ok());
  EXPECT_FALSE(apply(board, "delete", R"({"id":"b"})").ok());
  EXPECT_FALSE(apply(board, "move", R"({"x":1,"y":2})").ok());
}

}  // namespace
}  // namespace tidemark::app
