#include "app/bench/document_author.h"

#include <gtest/gtest.h>

#include <map>

namespace tidemark::app {
namespace {

// Lets one author alone write `operations` operations, which all have to fit.
DocumentReplica written(const DocumentAuthor::Options& options, int operations, std::map<std::string, int>& types) {
  SeededRandom random(7);
  DocumentAuthor author(options);
  DocumentReplica replica(options.kind);
  simdjson::dom::parser parser;
  for (int i = 0; i < operations; ++i) {
    const DocumentAuthor::Made made = author.make(replica.length(), random);
    const size_t before = replica.length();
    const Status applied = replica.apply(made.type, parser.parse(made.data).value_unsafe());
    EXPECT_TRUE(applied.ok()) << made.type << ' ' << made.data;
    EXPECT_TRUE(made.removed == 0 || replica.length() == before - made.removed);
    ++types[std::string(made.type)];
  }
  return replica;
}

TEST(DocumentAuthor, DoesEverythingOnAWhiteboardAndKeepsItsSize) {
  std::map<std::string, int> types;
  const DocumentReplica board = written({.kind = DocumentKind::whiteboard, .number = 3, .objects = 4}, 2000, types);
  for (const char* type : {"create", "delete", "resize", "style", "update"}) {
    EXPECT_GT(types[type], 0) << type;
  }
  EXPECT_GT(types["move"], 1000);
  EXPECT_LE(types["create"] - types["delete"], 4);
  EXPECT_NE(board.content_json().find("\"w3-"), std::string::npos);
}

TEST(DocumentAuthor, KeepsATextNearItsLength) {
  std::map<std::string, int> types;
  const DocumentReplica text = written({.kind = DocumentKind::text, .text_length = 200}, 5000, types);
  EXPECT_GT(text.length(), 100U);
  EXPECT_LT(text.length(), 300U);
}

TEST(DocumentAuthor, BeginsATextThatIsEmpty) {
  SeededRandom random(1);
  DocumentAuthor author({.kind = DocumentKind::text, .text_length = 0});
  EXPECT_EQ(author.make(0, random).removed, 0U);
}

TEST(TextOfLength, HasSoManyCodePoints) {
  simdjson::dom::parser parser;
  const std::string json = '"' + text_of_length(25) + '"';
  EXPECT_EQ(DocumentReplica::from_content(DocumentKind::text, parser.parse(json).value_unsafe())->length(), 25U);
}

}  // namespace
}  // namespace tidemark::app
