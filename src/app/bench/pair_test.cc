#include <gtest/gtest.h>

#include "app/bench/pairs.h"

namespace tidemark::app {
namespace {

constexpr Instant kNow{std::chrono::seconds(100)};
constexpr size_t kBytes = kPayloadBytesMin;

Incoming typing(bool goes_on) {
  Incoming frame;
  frame.type = "typing";
  frame.is_typing = goes_on;
  return frame;
}

TEST(Pair, RelayedSignalsAreDoneWhenTheyArrive) {
  SeededRandom random(1);
  Pair pair(Traffic::typing, "bob", kBytes, random);
  EXPECT_NE(pair.next(kNow).find("true"), std::string_view::npos);
  EXPECT_NE(pair.next(kNow).find("false"), std::string_view::npos);
  EXPECT_EQ(pair.done(), 0U);
  EXPECT_EQ(*pair.on_delivery(typing(true)), kNow);
  EXPECT_EQ(*pair.on_delivery(typing(false)), kNow);
  EXPECT_EQ(pair.done(), 2U);
  EXPECT_EQ(pair.violations(), Violations{});
}

TEST(Pair, ALostSignalShows) {
  SeededRandom random(1);
  Pair pair(Traffic::typing, "bob", kBytes, random);
  pair.next(kNow);
  pair.next(kNow);
  ASSERT_TRUE(pair.on_delivery(typing(false)).ok());
  EXPECT_EQ(pair.violations().lost, 1U);
}

TEST(Pair, ASignalThatWasNotSentIsRefused) {
  SeededRandom random(1);
  Pair pair(Traffic::typing, "bob", kBytes, random);
  EXPECT_FALSE(pair.on_delivery(typing(true)).ok());
}

TEST(Pair, AnEchoIsKnownByItsStampAndWhatElseComesIsPassedOver) {
  SeededRandom random(1);
  Pair pair(Traffic::echo, "", kBytes, random);
  const std::string sent(pair.next(kNow));
  EXPECT_EQ(*pair.on_echo("hello"), std::nullopt);
  EXPECT_EQ(*pair.on_echo(sent), kNow);
  EXPECT_EQ(*pair.on_echo(sent), std::nullopt);
  EXPECT_EQ(pair.violations().doubled, 1U);
}

TEST(Pair, AMessageIsDoneWhenItIsAnsweredAndDelivered) {
  SeededRandom random(1);
  Pair pair(Traffic::messages, "bob", kBytes, random);
  const std::string sent(pair.next(kNow));
  Incoming delivery;
  delivery.type = "message";
  const std::string content = stamped_content({0, kNow}, kBytes);
  delivery.content = content;
  delivery.seq = 7;
  ASSERT_TRUE(pair.on_delivery(delivery).ok());
  EXPECT_EQ(pair.done(), 0U);
  EXPECT_EQ(pair.unanswered(), 1U);
  Incoming answer;
  answer.type = "sent";
  answer.seq = 7;
  const size_t at = sent.find("\"id\":\"") + 6;
  answer.id = std::string_view(sent).substr(at, 36);
  ASSERT_TRUE(pair.on_answer(answer).ok());
  EXPECT_EQ(pair.done(), 1U);
}

TEST(Pair, ASequenceWithAHoleIsRefused) {
  SeededRandom random(1);
  Pair pair(Traffic::messages, "bob", kBytes, random);
  pair.next(kNow);
  pair.next(kNow);
  Incoming delivery;
  delivery.type = "message";
  const std::string first = stamped_content({0, kNow}, kBytes);
  const std::string second = stamped_content({1, kNow}, kBytes);
  delivery.content = first;
  delivery.seq = 1;
  ASSERT_TRUE(pair.on_delivery(delivery).ok());
  delivery.content = second;
  delivery.seq = 3;
  EXPECT_FALSE(pair.on_delivery(delivery).ok());
}

}  // namespace
}  // namespace tidemark::app
