#include "document/engine/text_operation.h"

#include <gtest/gtest.h>

#include "core/json.h"

namespace tidemark::document::engine {
namespace {

Result<TextOperation> parse(std::string_view ops) {
  simdjson::dom::parser parser;
  const auto json = parse_json(parser, ops, 32);
  return json ? TextOperation::parse(*json) : Result<TextOperation>(json.error());
}
std::string normal(std::string_view ops) { return parse(ops).value().json(); }

TEST(TextOperation, JoinsWhatBelongsTogether) {
  EXPECT_EQ(normal(R"([1,2,"a","b",{"d":1},{"d":2},4])"), R"([3,"ab",{"d":3}])");
  EXPECT_EQ(normal(R"([0,"",{"d":0}])"), "[]");
  EXPECT_EQ(normal(R"([{"d":1},"a",{"d":1},"b",2,"c"])"), R"([{"d":1},"a",{"d":1},"b",2,"c"])");
}

TEST(TextOperation, OfAnAuthorInsertsBeforeItRemoves) {
  const auto operation = parse(R"([{"d":1},"a",{"d":1},"b",2,"c",{"d":1},3])");
  EXPECT_FALSE(operation->has_insertions_first());
  EXPECT_EQ(operation->insertions_first().json(), R"(["ab",{"d":2},2,"c",{"d":1}])");
  EXPECT_TRUE(operation->insertions_first().has_insertions_first());
  EXPECT_EQ(operation->insertions_first().base_length(), operation->base_length());
}

TEST(TextOperation, CountsTheRetainAtItsEnd) {
  EXPECT_EQ(parse("[3]")->base_length(), 3U);
  EXPECT_EQ(parse(R"([1,"abc",{"d":2},4])")->base_length(), 7U);
  EXPECT_EQ(parse(R"([1,"abc",{"d":2},4])")->growth(), 1);
}

TEST(TextOperation, RefusesWhatIsNone) {
  for (const char* ops : {"{}",
                          "3",
                          R"("a")",
                          "null",
                          "[-1]",
                          "[1.0]",
                          "[1e2]",
                          "[1.5]",
                          "[true]",
                          "[null]",
                          "[[1]]",
                          "[{}]",
                          R"([{"d":-1}])",
                          R"([{"d":"1"}])",
                          R"([{"d":1,"e":2}])",
                          R"([{"x":1}])",
                          R"([{"d":1,"d":2}])",
                          "[4294967296]",
                          "[4294967295,1]",
                          "[18446744073709551615]",
                          "[99999999999999999999]",
                          R"(["\ud800"])",
                          R"(["\udc00\ud800"])"}) {
    EXPECT_FALSE(parse(ops).ok()) << ops;
  }
}

TEST(TextOperation, CountsCodePoints) {
  const auto operation = parse(R"([1,"é😀",{"d":1}])");
  EXPECT_EQ(operation->growth(), 1);
  EXPECT_EQ(operation->applied_to("👍🏽x"), "👍é😀x");
  EXPECT_EQ(operation->removed_from("👍🏽x"), "🏽");
  EXPECT_EQ(parse(R"(["\ud83d\ude00"])")->inserted(), "😀");  // a pair of surrogates is one code point
}

}  // namespace
}  // namespace tidemark::document::engine
