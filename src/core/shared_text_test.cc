#include "core/shared_text.h"

#include <gtest/gtest.h>

namespace tidemark {
namespace {

TEST(SharedText, CopiesShareTheirBytes) {
  const SharedText one(std::string(100, 'x'));
  const SharedText copy = one;  // NOLINT(performance-unnecessary-copy-initialization)
  EXPECT_EQ(one.str().data(), copy.str().data());
}

TEST(SharedText, OutlivesTheOneItWasCopiedFrom) {
  SharedText copy;
  {
    const SharedText one(std::string(100, 'x'));
    copy = one;
  }
  EXPECT_EQ(copy.str(), std::string(100, 'x'));
}

TEST(SharedText, ComparesByContent) {
  EXPECT_EQ(SharedText("alice"), SharedText("alice"));
  EXPECT_NE(SharedText("alice"), SharedText("bob"));
  EXPECT_LT(SharedText("alice"), SharedText("bob"));
  EXPECT_LT(SharedText(), SharedText("a"));
  EXPECT_TRUE(SharedText("alice") == "alice");
}

TEST(SharedText, EmptyTextIsNothing) {
  EXPECT_TRUE(SharedText("").empty());
  EXPECT_EQ(SharedText(), SharedText(""));
  EXPECT_EQ(SharedText().str(), "");
}

TEST(SharedText, IsEmptyAfterItWasMoved) {
  SharedText one("alice");
  const SharedText other = std::move(one);
  EXPECT_TRUE(one.empty());  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(other, SharedText("alice"));
}

}  // namespace
}  // namespace tidemark
