#include "document/engine/text_diff.h"

#include <gtest/gtest.h>

#include "document/engine/text_chance.h"

namespace tidemark::document::engine {
namespace {

TEST(TextDiff, OfEqualTextsIsNothing) {
  EXPECT_EQ(text_diff("", "").json(), "[]");
  EXPECT_EQ(text_diff("same", "same").json(), "[]");
}

TEST(TextDiff, ChangesOnlyWhatIsDifferent) {
  EXPECT_EQ(text_diff("hello world", "hello, big world").json(), R"([5,", big"])");
  EXPECT_EQ(text_diff("one\ntwo\nthree\n", "one\n2\nthree!\n").json(), R"([4,"2",{"d":3},6,"!"])");
}

TEST(TextDiff, DividesNoCodePoint) {
  EXPECT_EQ(text_diff("😀", "😁").json(), R"(["😁",{"d":1}])");  // three of four bytes are the same
  EXPECT_EQ(text_diff("é", "è").json(), R"(["è",{"d":1}])");
  EXPECT_EQ(text_diff("xא", "xב").json(), R"([1,"ב",{"d":1}])");
}

TEST(TextDiff, ReplacesWhatHasTooLittleInCommon) {
  std::string from;
  std::string to;
  for (int i = 0; i < 2000; ++i) {
    from += static_cast<char>('a' + i % 13);
    to += static_cast<char>('n' + i % 11);
  }
  EXPECT_EQ(text_diff(from, to).applied_to(from), to);
  EXPECT_LE(text_diff(from, to).parts().size(), 2U);
}

TEST(TextDiff, LeadsToTheOtherText) {
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    TextChance chance(seed);
    const std::string from = chance.text(40);
    std::string to = from;
    for (size_t changes = chance.below(6); changes > 0; --changes) {
      to = chance.operation(count_code_points(to)).applied_to(to);
    }
    EXPECT_EQ(text_diff(from, to).applied_to(from), to);
    const std::string other = chance.text(40);
    EXPECT_EQ(text_diff(from, other).applied_to(from), other);
  }
}

}  // namespace
}  // namespace tidemark::document::engine
