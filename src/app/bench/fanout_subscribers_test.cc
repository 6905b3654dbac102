#include "app/bench/fanout_subscribers.h"

#include <gtest/gtest.h>

#include "core/json.h"

namespace tidemark::app {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

constexpr size_t kPayload = 40;
constexpr Instant kStart{seconds(50)};

// A server in miniature: turns what the publisher says into what the subscribers get.
class FanoutSubscribersTest : public testing::Test {
 protected:
  FanoutSubscribersTest() {
    for (int i = 0; i < 4; ++i) {
      const Result<Incoming> sent = reader_.read(source_.next(kStart));
      frames_.push_back(frame("message", "g", 11 + i, sent->content));
    }
  }

  static std::string frame(std::string_view type, std::string_view group, int64_t seq, std::string_view content) {
    std::string text;
    JsonWriter(text)
        .begin()
        .field("type", type)
        .field("conversation_id", group)
        .field("seq", seq)
        .field("content", content)
        .end();
    return text;
  }
  std::string content_of(size_t number) { return std::string(reader_.read(frames_[number])->content); }
  Status arrive(size_t subscriber, std::string_view text) {
    return subscribers_.arrived(subscriber, text, kStart + microseconds(5), 4);
  }

  SeededRandom random_{1};
  MessageSource source_{"conversation_id", "g", kPayload, random_};
  IncomingReader reader_;
  std::vector<std::string> frames_;
  FanoutSubscribers subscribers_{2, {.conversation_id = "g", .first_seq = 11, .payload_bytes = kPayload}};
};

TEST_F(FanoutSubscribersTest, CompletesAMessageWhenAllHaveIt) {
  EXPECT_TRUE(arrive(0, frames_[0]).ok());
  EXPECT_TRUE(arrive(0, frames_[1]).ok());
  EXPECT_EQ(subscribers_.completed(), 0U);
  EXPECT_TRUE(arrive(1, frames_[0]).ok());
  EXPECT_EQ(subscribers_.completed(), 1U);
  EXPECT_TRUE(arrive(1, frames_[1]).ok());
  EXPECT_EQ(subscribers_.completed(), 2U);
  EXPECT_EQ(subscribers_.deliveries(), 4U);
  EXPECT_EQ(subscribers_.violations(2), Violations{});
  EXPECT_EQ(subscribers_.latency().max(), microseconds(5));
}

TEST_F(FanoutSubscribersTest, CountsForEachSubscriberWhatWentWrong) {
  for (const int number : {0, 2, 1, 3}) {
    EXPECT_TRUE(arrive(0, frames_[number]).ok());
  }
  for (const int number : {0, 0, 1}) {
    EXPECT_TRUE(arrive(1, frames_[number]).ok());
  }
  EXPECT_EQ(subscribers_.violations(4), (Violations{.lost = 2, .doubled = 1, .out_of_order = 1}));
  EXPECT_EQ(subscribers_.deliveries(), 6U);
  EXPECT_EQ(subscribers_.completed(), 2U);
}

TEST_F(FanoutSubscribersTest, PassesOverOtherFrames) {
  EXPECT_TRUE(arrive(0, R"({"type":"presence","user_id":"x"})").ok());
  EXPECT_TRUE(arrive(0, frame("message", "other", 11, content_of(0))).ok());
  EXPECT_EQ(subscribers_.deliveries(), 0U);
}

TEST_F(FanoutSubscribersTest, RefusesAMessageThatWasNotSentLikeThis) {
  std::string changed = content_of(1);
  changed.back() = '!';
  EXPECT_FALSE(arrive(0, frame("message", "g", 12, changed)).ok());
  EXPECT_FALSE(arrive(0, frame("message", "g", 13, content_of(1))).ok());
  EXPECT_FALSE(subscribers_.arrived(0, frames_[3], kStart, 3).ok());
  EXPECT_FALSE(arrive(0, "nonsense").ok());
}

TEST_F(FanoutSubscribersTest, ReportsWhatTheServerRefused) {
  const Status refused = arrive(0, R"({"type":"error","code":"rate_limited","error":"20 a second"})");
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().text.find("20 a second"), std::string::npos);
  EXPECT_NE(refused.error().text.find("limits.messages_per_second"), std::string::npos);
}

}  // namespace
}  // namespace tidemark::app
