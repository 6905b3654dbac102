#include "core/ascii.h"

#include <gtest/gtest.h>

#include <memory>

namespace tidemark {
namespace {

TEST(Ascii, LettersAreEqualWithoutTheirCaseAndNothingElseIs) {
  EXPECT_TRUE(equal_ignoring_case("", ""));
  EXPECT_TRUE(equal_ignoring_case("LocalHost", "localhost"));
  EXPECT_FALSE(equal_ignoring_case("localhost", "localhos"));
  EXPECT_FALSE(equal_ignoring_case("localhos", "localhost"));
  EXPECT_FALSE(equal_ignoring_case("[", "{")) << "not letters, although one bit apart";
  EXPECT_FALSE(equal_ignoring_case("@", "`"));
  EXPECT_FALSE(equal_ignoring_case("\xc4", "\xe4"));
}

// The address sanitizer sees a byte too many only where nothing stands behind the text.
TEST(Ascii, ReadsNothingBehindTheTexts) {
  const std::string_view text = "LocalHost";
  const auto exact = std::make_unique<char[]>(text.size());
  std::copy(text.begin(), text.end(), exact.get());
  EXPECT_TRUE(equal_ignoring_case({exact.get(), text.size()}, "localhost"));
}

}  // namespace
}  // namespace tidemark
