#include "bus/redis_command.h"

#include <gtest/gtest.h>

namespace tidemark::bus {
namespace {

TEST(RedisCommand, IsWrittenWithTheLengthOfEachWord) {
  const std::string key = "k";
  EXPECT_EQ(Command("SET", key, std::string_view("v"), "PX", 15000, -1).bytes(),
            "*6\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$2\r\nPX\r\n$5\r\n15000\r\n$2\r\n-1\r\n");
}

TEST(RedisCommand, NothingInAWordEndsIt) {
  const std::string word("a\r\n*1\r\n\0\xff", 9);
  EXPECT_EQ(Command("GET", word).bytes(), "*2\r\n$3\r\nGET\r\n$9\r\n" + word + "\r\n");
  EXPECT_EQ(Command("GET", "").bytes(), "*2\r\n$3\r\nGET\r\n$0\r\n\r\n");
}

TEST(RedisCommand, TakesAsManyWordsAsThereAre) {
  const std::string_view words[] = {"DEL", "a", "b"};
  EXPECT_EQ(Command::of(words).bytes(), Command("DEL", "a", "b").bytes());
}

TEST(RedisCommand, KeysHaveATag) { EXPECT_EQ(redis_key("session", "a1"), "tidemark:session:{a1}"); }

}  // namespace
}  // namespace tidemark::bus
