#include "bus/redis_reply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::bus {
namespace {

using Kind = Reply::Kind;
using ::testing::HasSubstr;

// Reads `bytes` in pieces of that size.
Result<std::vector<Reply>> read(std::string_view bytes, size_t piece, size_t most = ReplyReader::kReplyBytesMax) {
  ReplyReader reader(most);
  std::vector<Reply> replies;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) {
    const Status status = reader.read(bytes.substr(0, piece), [&replies](Reply reply) {
      replies.push_back(std::move(reply));
      return true;
    });
    if (!status.ok()) {
      return status.error();
    }
  }
  return replies;
}

TEST(RedisReply, IsReadWhereverTheStreamIsCut) {
  const std::string_view bytes(
      "+OK\r\n-ERR no\r\n:-42\r\n$-1\r\n*-1\r\n$0\r\n\r\n$4\r\na\r\nb\r\n*3\r\n:1\r\n*2\r\n$1\r\nx\r\n$-1\r\n*0\r\n");
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    const auto got = read(bytes, piece);
    ASSERT_TRUE(got.ok()) << got.error().text;
    ASSERT_EQ(got->size(), 8u) << piece;
    const std::vector<Reply>& replies = *got;
    EXPECT_TRUE(replies[0].is(Kind::status) && replies[0].text == "OK");
    EXPECT_TRUE(replies[1].is(Kind::error) && replies[1].text == "ERR no");
    EXPECT_TRUE(replies[2].is(Kind::integer) && replies[2].integer == -42);
    EXPECT_TRUE(replies[3].is(Kind::nil) && replies[4].is(Kind::nil));
    EXPECT_TRUE(replies[5].is(Kind::text) && replies[5].text.empty());
    EXPECT_TRUE(replies[6].is(Kind::text) && replies[6].text == "a\r\nb");
    ASSERT_TRUE(replies[7].is(Kind::array) && replies[7].elements.size() == 3);
    EXPECT_EQ(replies[7].elements[1].elements[0].text, "x");
    EXPECT_TRUE(replies[7].elements[1].elements[1].is(Kind::nil));
    EXPECT_TRUE(replies[7].elements[2].is(Kind::array) && replies[7].elements[2].elements.empty());
  }
}

TEST(RedisReply, ManyInOnePieceComeInOrder) {
  std::string bytes;
  for (int i = 0; i < 100'000; ++i) {
    bytes += ":" + std::to_string(i) + "\r\n";
  }
  const auto got = read(bytes, bytes.size());
  ASSERT_EQ(got->size(), 100'000u);
  EXPECT_EQ(got->back().integer, 99'999);
}

TEST(RedisReply, TheReaderStopsWhenItIsTold) {
  ReplyReader reader;
  int seen = 0;
  EXPECT_TRUE(reader.read("+a\r\n+b\r\n+c\r\n", [&seen](const Reply&) { return ++seen < 2; }).ok());
  EXPECT_EQ(seen, 2);
}

TEST(RedisReply, WhatIsNoReplyIsRefused) {
  for (const std::string_view bytes : {"HTTP/1.1 400 Bad Request\r\n", "\x15\x03\x03\x00\x02\x02", "*x\r\n", "$-7\r\n",
                                       "*-7\r\n", "$99999999999999999999\r\n", ":9223372036854775808\r\n"}) {
    const auto got = read(bytes, bytes.size());
    ASSERT_FALSE(got.ok()) << bytes;
    EXPECT_EQ(got.error().code, Code::unavailable);
  }
}

TEST(RedisReply, ATextMayHaveTheLargestSizeAndNotOneByteMore) {
  const auto text = [](size_t size) { return "$" + std::to_string(size) + "\r\n" + std::string(size, 'x') + "\r\n"; };
  // What lies in the parser before it is whole counts with its head and end.
  EXPECT_TRUE(read(text(100'000), 1 << 20, 100'020).ok());
  EXPECT_EQ(read(text(1000), 1 << 20, 1000)->at(0).text.size(), 1000u);
  EXPECT_THAT(read(text(1001), 1 << 20, 1000).error().text, HasSubstr("larger than 1000 bytes"));
}

TEST(RedisReply, WhatIsOnlyAnnouncedTakesNoMemory) {
  EXPECT_THAT(read("*2147483647\r\n", 100).error().text, HasSubstr("larger than"));
  EXPECT_THAT(read("*100000\r\n*100000\r\n*100000\r\n", 100).error().text, HasSubstr("larger than"));
  // A text is refused when more of it has come than it may have.
  const std::string endless = "$500000000\r\n" + std::string(20'000, 'x');
  EXPECT_TRUE(read(endless, 100, 30'000).ok());
  EXPECT_THAT(read(endless, 100, 10'000).error().text, HasSubstr("larger than"));
  EXPECT_FALSE(read("+" + std::string(20'000, 'x'), 100, 10'000).ok()) << "a line without an end";
}

TEST(RedisReply, ManySmallTextsOfOneArrayCountTogether) {
  std::string bytes = "*100\r\n";
  for (int i = 0; i < 100; ++i) {
    bytes += "$100\r\n" + std::string(100, 'x') + "\r\n";
  }
  const size_t size = 100 * (sizeof(Reply) + 100);
  EXPECT_TRUE(read(bytes, 50, size).ok());
  EXPECT_FALSE(read(bytes, 50, size - 1).ok());
  EXPECT_TRUE(read(bytes + bytes, 50, size).ok()) << "each reply by itself";
}

TEST(RedisReply, ArraysNestEightDeepAndNoDeeper) {
  std::string bytes;
  for (int depth = 0; depth < 8; ++depth) {
    bytes += "*1\r\n";
  }
  EXPECT_EQ(read(bytes + ":1\r\n", 100)->size(), 1u);
  EXPECT_FALSE(read("*1\r\n" + bytes + ":1\r\n", 100).ok());
}

TEST(RedisReply, AnErrorSaysWhetherLaterHelps) {
  const auto code = [](std::string text) { return error_of(Reply{Kind::error, 0, std::move(text), {}}).code; };
  EXPECT_EQ(code("WRONGTYPE Operation against a key holding the wrong kind of value"), Code::internal);
  EXPECT_EQ(code("ERR unknown command"), Code::internal);
  EXPECT_EQ(code("OOM command not allowed when used memory > 'maxmemory'."), Code::unavailable);
  EXPECT_EQ(code("LOADING Redis is loading the dataset in memory"), Code::unavailable);
  const Error moved = error_of(Reply{Kind::error, 0, "MOVED 3999 127.0.0.1:6381", {}});
  EXPECT_EQ(moved.code, Code::unavailable);
  EXPECT_THAT(moved.text, HasSubstr("Redis Cluster"));
  EXPECT_TRUE(asks_to_reconnect(Reply{Kind::error, 0, "READONLY You can't write", {}}));
  EXPECT_FALSE(asks_to_reconnect(Reply{Kind::text, 0, "READONLY", {}}));
}

}  // namespace
}  // namespace tidemark::bus
