#include "document/engine/rope.h"

#include <gtest/gtest.h>

#include "document/engine/text_chance.h"

namespace tidemark::document::engine {
namespace {

TEST(Rope, BeginsEmpty) {
  const Rope rope;
  EXPECT_EQ(rope.length(), 0U);
  EXPECT_EQ(rope.text(), "");
}

TEST(Rope, CountsCodePointsAndBytes) {
  Rope rope("a😀e\u0301");
  EXPECT_EQ(rope.length(), 4U);
  EXPECT_EQ(rope.bytes(), 8U);
  std::string removed;
  rope.remove(1, 1, removed);
  EXPECT_EQ(removed, "😀");
  rope.insert(1, "שלום");
  EXPECT_EQ(rope.text(), "aשלוםe\u0301");
}

TEST(Rope, GivesAStretch) {
  std::string text;
  for (int i = 0; i < 5000; ++i) {
    text += i % 7 == 0 ? "é" : "x";
  }
  const Rope rope(text);
  std::string out;
  rope.append_to(out, 7, 3);
  EXPECT_EQ(out, "éxx");
  EXPECT_EQ(rope.text(), text);
}

TEST(Rope, CanBeEmptiedAndFilledAgain) {
  Rope rope(std::string(100'000, 'a'));
  std::string removed;
  rope.remove(0, 100'000, removed);
  EXPECT_EQ(rope.length(), 0U);
  EXPECT_EQ(removed.size(), 100'000U);
  rope.insert(0, std::string(50'000, 'b'));
  EXPECT_EQ(rope.text(), std::string(50'000, 'b'));
}

// Against a plain string.
TEST(Rope, IsTheSameAsAString) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    TextChance chance(seed);
    std::string expected = chance.text(seed % 2 == 0 ? 20'000 : 10);
    Rope rope(expected);
    for (int i = 0; i < 1500; ++i) {
      TextOperation operation;
      const size_t length = rope.length();
      operation.retain(chance.below(length + 1));
      const size_t at = operation.base_length();
      const std::string inserted = chance.text(chance.below(50) == 0 ? 3000 : 6);
      const size_t count = chance.below(std::min<size_t>(length - at, chance.below(40) == 0 ? 5000 : 6) + 1);
      operation.insert(inserted);
      operation.remove(count);
      std::string removed;
      rope.insert(at, inserted);
      rope.remove(at + count_code_points(inserted), count, removed);
      EXPECT_EQ(removed, operation.removed_from(expected));
      expected = operation.applied_to(expected);
      ASSERT_EQ(rope.length(), count_code_points(expected));
      ASSERT_EQ(rope.bytes(), expected.size());
    }
    ASSERT_EQ(rope.text(), expected);
  }
}

}  // namespace
}  // namespace tidemark::document::engine
