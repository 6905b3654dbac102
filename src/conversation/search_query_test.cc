#include "conversation/search_query.h"

#include <gtest/gtest.h>

namespace tidemark::conversation {
namespace {

TEST(SearchQuery, QuotesEachTerm) {
  EXPECT_EQ(*search_query("zebra"), R"("zebra")");
  EXPECT_EQ(*search_query("  two\twords\n"), R"("two" "words")");
  EXPECT_EQ(*search_query("a* OR NEAR(b)"), R"x("a*" "OR" "NEAR(b)")x");
  EXPECT_EQ(*search_query("content:x -y ^z"), R"("content:x" "-y" "^z")");
}

TEST(SearchQuery, DoublesQuotes) {
  EXPECT_EQ(*search_query(R"("unbalanced)"), "\"\"\"unbalanced\"");
  EXPECT_EQ(*search_query(R"(a"b""c)"), R"("a""b""""c")");
}

TEST(SearchQuery, ControlCharactersSeparate) {
  EXPECT_EQ(*search_query(std::string_view("a\0b\x7f" "c", 5)), R"("a" "b" "c")");
}

TEST(SearchQuery, RefusesNothingAndTooMuch) {
  EXPECT_EQ(search_query("").error().field, "q");
  EXPECT_EQ(search_query(" \t ").error().code, Code::invalid_field);
  std::string many;
  for (size_t i = 0; i < kSearchTermsMax; ++i) {
    many += "w ";
  }
  EXPECT_TRUE(search_query(many).ok());
  EXPECT_EQ(search_query(many + "w").error().field, "q");
}

TEST(SearchQuery, IndexesWholeCharacters) {
  EXPECT_EQ(indexed_part("short"), "short");
  std::string text(kIndexedBytes - 1, 'a');
  text += "\xC3\xA9";  // é over the limit
  EXPECT_EQ(indexed_part(text), std::string(kIndexedBytes - 1, 'a'));
  EXPECT_EQ(indexed_part(std::string(kIndexedBytes + 1, 'a')).size(), kIndexedBytes);
}

}  // namespace
}  // namespace tidemark::conversation
