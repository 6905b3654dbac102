#include "app/bench/message_source.h"

#include <gtest/gtest.h>

namespace tidemark::app {
namespace {

using std::chrono::seconds;

constexpr Instant kStart{seconds(100)};

TEST(MessageSource, MakesMessagesWhoseStampCanBeRead) {
  SeededRandom random(1);
  MessageSource source("to", "bob", kPayloadBytesMin, random);
  IncomingReader reader;
  for (uint64_t number = 0; number < 3; ++number) {
    const Result<Incoming> message = reader.read(source.next(kStart + seconds(number)));
    ASSERT_TRUE(message.ok());
    EXPECT_EQ(message->type, "message");
    const std::optional<Stamp> stamp = read_stamp(message->content, kPayloadBytesMin);
    ASSERT_TRUE(stamp.has_value());
    EXPECT_EQ(stamp->number, number);
    EXPECT_EQ(stamp->due, kStart + seconds(number));
    const Incoming answer{.type = "sent", .id = message->id, .seq = 7};
    EXPECT_EQ(source.answer(answer).value()->stamp.number, number);
    EXPECT_FALSE(source.answer(answer).ok());
  }
  EXPECT_EQ(source.sent(), 3U);
  EXPECT_EQ(source.unanswered(), 0U);
}

TEST(ReadStamp, RefusesAContentThatWasChangedAnywhere) {
  SeededRandom random(1);
  MessageSource source("to", "bob", 40, random);
  IncomingReader reader;
  const std::string content(reader.read(source.next(kStart))->content);
  ASSERT_TRUE(read_stamp(content, 40).has_value());
  for (size_t i = 0; i < content.size(); ++i) {
    std::string changed = content;
    changed[i] = 'x';
    EXPECT_FALSE(read_stamp(changed, 40).has_value()) << i;
  }
  EXPECT_FALSE(read_stamp(content + '.', 40).has_value());
  EXPECT_FALSE(read_stamp(content.substr(1), 40).has_value());
  EXPECT_FALSE(read_stamp("", 40).has_value());
}

}  // namespace
}  // namespace tidemark::app
