#include "storage/postgres_text.h"

#include <gtest/gtest.h>

namespace tidemark::storage {
namespace {

using namespace std::string_literals;

TEST(PostgresText, NumbersParametersOutsideOfQuotes) {
  EXPECT_EQ(numbered_parameters("SELECT a FROM t WHERE b = ? AND c > ? LIMIT ?"),
            "SELECT a FROM t WHERE b = $1 AND c > $2 LIMIT $3");
  EXPECT_EQ(numbered_parameters("SELECT '?', \"a?\", ?, '''?' , ?"), "SELECT '?', \"a?\", $1, '''?' , $2");
  EXPECT_EQ(numbered_parameters("UPDATE t SET a = $1"), "UPDATE t SET a = $1");
}

TEST(PostgresText, WhatNeedsNoEscapeStaysItself) {
  EXPECT_FALSE(needs_escape(""));
  EXPECT_FALSE(needs_escape("Grüße 🌊 \xEF\xB7\x91"));
  EXPECT_TRUE(needs_escape("a\0b"s));
  EXPECT_TRUE(needs_escape("\xEF\xB7\x90"));
}

TEST(PostgresText, EveryTextComesBackAndNoTwoBecomeOne) {
  const std::string mark = "\xEF\xB7\x90";
  const std::string texts[] = {"\0"s, "\0\0"s, "a\0"s, "\0b"s, mark, mark + "0", mark + "1", mark + mark, mark + "\0"s,
                               "\0"s + mark, "x" + mark + "y\0z"s};
  for (const std::string& text : texts) {
    const std::string stored = escape_text(text);
    EXPECT_EQ(stored.find('\0'), std::string::npos);
    EXPECT_TRUE(is_escaped(stored));
    EXPECT_EQ(unescape_text(stored), text);
    for (const std::string& other : texts) {
      EXPECT_EQ(escape_text(other) == stored, other == text);
    }
  }
}

// Whatever somebody else wrote into the table is read without harm.
TEST(PostgresText, AMarkAtTheEndIsReadAsItself) {
  const std::string mark = "\xEF\xB7\x90";
  EXPECT_EQ(unescape_text("a" + mark), "a" + mark);
}

}  // namespace
}  // namespace tidemark::storage
