#include "gateway/auto_ack.h"

#include <gtest/gtest.h>

namespace tidemark::gateway {
namespace {

using std::chrono::milliseconds;
using stream::StreamId;
using stream::StreamRef;

const Instant kStart{std::chrono::hours(1000)};
const StreamRef kOne{StreamId{1}, 0};
const StreamRef kTwo{StreamId{2}, 0};

// "1:5 2:3": what a pong confirms.
std::string confirmed(AutoAck& acks, std::string_view payload) {
  std::string text;
  for (const AutoAck::Sent& sent : acks.pong(payload)) {
    text += text.empty() ? "" : " ";
    text += std::to_string(static_cast<int64_t>(sent.stream.id)) + ":" + std::to_string(sent.seq);
  }
  return text;
}

TEST(AutoAck, WantsNoPingBeforeAnythingWasSent) {
  const AutoAck acks;
  EXPECT_EQ(acks.due(), std::nullopt);
}

TEST(AutoAck, WantsAPing100MillisecondsAfterTheFirstEntry) {
  AutoAck acks;
  acks.sent(kOne, 1, kStart);
  acks.sent(kOne, 2, kStart + milliseconds(50));
  EXPECT_EQ(acks.due(), kStart + milliseconds(100));
}

TEST(AutoAck, WantsAPingAtOnceAfter64Entries) {
  AutoAck acks;
  for (int64_t seq = 1; seq <= 63; ++seq) {
    acks.sent(kOne, seq, kStart);
  }
  EXPECT_EQ(acks.due(), kStart + milliseconds(100));
  acks.sent(kTwo, 1, kStart + milliseconds(1));
  ASSERT_TRUE(acks.due().has_value());
  EXPECT_LE(*acks.due(), kStart + milliseconds(1));
}

TEST(AutoAck, ConfirmsTheNewestEntryOfEachStream) {
  AutoAck acks;
  acks.sent(kOne, 4, kStart);
  acks.sent(kTwo, 3, kStart);
  acks.sent(kOne, 5, kStart);
  acks.sent(kOne, 2, kStart);  // lower: an own entry that was answered late
  const std::string ping = acks.begin_ping();
  EXPECT_EQ(confirmed(acks, ping), "1:5 2:3");
  EXPECT_EQ(acks.due(), std::nullopt);
}

TEST(AutoAck, DoesNotConfirmWhatWasSentAfterThePing) {
  AutoAck acks;
  acks.sent(kOne, 1, kStart);
  const std::string ping = acks.begin_ping();
  acks.sent(kOne, 2, kStart + milliseconds(10));
  EXPECT_EQ(acks.due(), std::nullopt) << "one ping is out";
  EXPECT_EQ(confirmed(acks, ping), "1:1");
  EXPECT_EQ(acks.due(), kStart + milliseconds(110));
  EXPECT_EQ(confirmed(acks, acks.begin_ping()), "1:2");
}

TEST(AutoAck, ConfirmsNothingForAnotherPong) {
  AutoAck acks;
  EXPECT_EQ(confirmed(acks, "a1"), "");
  acks.sent(kOne, 1, kStart);
  EXPECT_EQ(confirmed(acks, ""), "");
  const std::string first = acks.begin_ping();
  for (const char* const other : {"", "h", "a0", "a2", "a11", "A1"}) {
    EXPECT_EQ(confirmed(acks, other), "") << other;
  }
  EXPECT_EQ(confirmed(acks, first), "1:1");
  EXPECT_EQ(confirmed(acks, first), "") << "a pong counts once";
}

TEST(AutoAck, GivesEveryPingAnotherPayload) {
  AutoAck acks;
  acks.sent(kOne, 1, kStart);
  const std::string first = acks.begin_ping();
  acks.pong(first);
  acks.sent(kOne, 2, kStart);
  const std::string second = acks.begin_ping();
  EXPECT_NE(first, second);
  EXPECT_EQ(confirmed(acks, first), "") << "a late copy of the first pong";
  EXPECT_EQ(confirmed(acks, second), "1:2");
  EXPECT_LE(second.size(), 125u);  // fits a control frame
}

TEST(AutoAck, CountsEntriesAnewAfterAPing) {
  AutoAck acks;
  for (int64_t seq = 1; seq <= 64; ++seq) {
    acks.sent(kOne, seq, kStart);
  }
  acks.pong(acks.begin_ping());
  acks.sent(kOne, 65, kStart + milliseconds(7));
  EXPECT_EQ(acks.due(), kStart + milliseconds(107));
}

}  // namespace
}  // namespace tidemark::gateway
