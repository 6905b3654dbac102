#include "app/bench/document_check.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/json.h"

namespace tidemark::app {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

constexpr Instant kStart{seconds(50)};
constexpr Instant kLater = kStart + microseconds(5);

// A server in miniature for one whiteboard with a writer (member 0) and a subscriber (member 1).
class DocumentCheckTest : public testing::Test {
 protected:
  DocumentCheckTest() {
    for (const size_t member : {0, 1}) {
      EXPECT_TRUE(
          check_
              .arrived(member,
                       R"({"type":"subscribed","document":{"content":{}},"version":1,"seq":7,"document_id":"d"})",
                       kStart)
              .ok());
    }
    for (int i = 0; i < 3; ++i) {
      read(check_.next(0, kStart));
      events_.push_back(event(i));
    }
  }

  void read(std::string_view sent) {
    simdjson::dom::parser parser;
    const simdjson::dom::element frame = parser.parse(sent.data(), sent.size()).value_unsafe();
    ids_.emplace_back(std::string_view(frame["id"].value_unsafe().get_string().value_unsafe()));
    types_.emplace_back(std::string_view(frame["operation"]["type"].value_unsafe().get_string().value_unsafe()));
    data_.push_back(to_json(frame["operation"]["data"].value_unsafe()));
  }
  // Of operation `number`, by default at its place.
  std::string event(size_t number, int64_t seq = 0, int64_t version = 0) {
    seq = seq == 0 ? 8 + static_cast<int64_t>(number) : seq;
    version = version == 0 ? 2 + static_cast<int64_t>(number) : version;
    return fmt::format(R"({{"type":"document_event","event":"operation_applied","seq":{},"version":{},"operation":)"
                       R"({{"id":"{}","type":"{}","data":{},"version":{}}}}})",
                       seq, version, ids_[number], types_[number], data_[number], version);
  }
  Status answer(size_t number, int64_t version, std::string_view status = "applied") {
    return check_.arrived(0,
                          fmt::format(R"({{"type":"operation_ack","id":"{}","version":{},"status":"{}"}})",
                                      ids_[number], version, status),
                          kLater);
  }
  Status arrive(size_t member, std::string_view text) { return check_.arrived(member, text, kLater); }
  // The server's document, with this content in the place of what was told.
  std::string document(std::string_view content, int64_t version, int64_t seq) {
    return fmt::format(R"({{"data":{{"document":{{"version":{},"seq":{},"content":{},"epoch":"e"}}}}}})", version, seq,
                       content);
  }

  SeededRandom random_{1};
  DocumentCheck check_{{.id = "d", .members = 2, .writers = 1}, random_};
  std::vector<std::string> ids_;
  std::vector<std::string> types_;
  std::vector<std::string> data_;
  std::vector<std::string> events_;
};

TEST_F(DocumentCheckTest, AnOperationIsDoneWhenItIsAnsweredAndEverybodyWasTold) {
  EXPECT_TRUE(check_.all_subscribed());
  EXPECT_EQ(check_.in_flight(0), 3U);
  EXPECT_TRUE(arrive(0, events_[0]).ok());
  EXPECT_TRUE(answer(0, 2).ok());
  EXPECT_EQ(check_.in_flight(0), 3U);
  EXPECT_TRUE(arrive(1, events_[0]).ok());
  EXPECT_EQ(check_.in_flight(0), 2U);
  EXPECT_TRUE(arrive(1, events_[1]).ok());
  EXPECT_TRUE(arrive(0, events_[1]).ok());
  EXPECT_EQ(check_.done(), 1U);
  EXPECT_TRUE(answer(1, 3, "resolved").ok());
  EXPECT_EQ(check_.done(), 2U);
  EXPECT_EQ(check_.deliveries(), 4U);
  EXPECT_EQ(check_.delivery_latency().count(), 2U);
  EXPECT_EQ(check_.ack_latency().max(), microseconds(5));
  EXPECT_EQ(check_.unanswered(), 1U);
  EXPECT_EQ(check_.violations(), (Violations{.lost = 1}));  // the third, which its author was never told
}

TEST_F(DocumentCheckTest, CountsForEachMemberWhatWentWrong) {
  for (const int number : {0, 1, 2}) {
    EXPECT_TRUE(arrive(0, events_[static_cast<size_t>(number)]).ok());
  }
  for (const int number : {0, 2, 1, 1}) {
    EXPECT_TRUE(arrive(1, events_[static_cast<size_t>(number)]).ok());
  }
  EXPECT_EQ(check_.violations(), (Violations{.doubled = 1, .out_of_order = 1}));
}

TEST_F(DocumentCheckTest, AMemberWhoMissesAnEventHasLostIt) {
  for (const int number : {0, 1, 2}) {
    EXPECT_TRUE(arrive(0, events_[static_cast<size_t>(number)]).ok());
  }
  EXPECT_TRUE(arrive(1, events_[0]).ok());
  EXPECT_TRUE(arrive(1, events_[2]).ok());
  EXPECT_EQ(check_.violations(), (Violations{.lost = 1}));
}

TEST_F(DocumentCheckTest, RefusesGapsInTheNumbers) {
  EXPECT_FALSE(arrive(0, event(1, 9, 3)).ok());
  EXPECT_FALSE(arrive(0, event(0, 8, 3)).ok());
  EXPECT_FALSE(arrive(0, event(0, 7, 2)).ok());
}

TEST_F(DocumentCheckTest, RefusesWhatWasNotSentOrTwice) {
  EXPECT_TRUE(arrive(0, events_[0]).ok());
  EXPECT_FALSE(arrive(0, event(0, 9, 3)).ok());
  ids_.emplace_back("unknown");
  types_.emplace_back("delete");
  data_.emplace_back(R"({"id":"x"})");
  EXPECT_FALSE(arrive(0, event(3, 9, 3)).ok());
  EXPECT_TRUE(answer(0, 2).ok());
  EXPECT_FALSE(answer(0, 2).ok());
}

TEST_F(DocumentCheckTest, RefusesAnAnswerThatIsNotWhatWasTold) {
  EXPECT_TRUE(arrive(0, events_[0]).ok());
  EXPECT_FALSE(answer(0, 3).ok());
  EXPECT_FALSE(answer(1, 3, "conflict").ok());
}

TEST_F(DocumentCheckTest, RefusesTwoAccountsOfOneEvent) {
  EXPECT_TRUE(arrive(0, events_[0]).ok());
  std::string other = events_[0];
  other.insert(other.size() - 1, " ");
  EXPECT_FALSE(arrive(1, other).ok());
}

TEST_F(DocumentCheckTest, OtherEventsHaveNumbersAndMakeNoVersion) {
  const std::string_view conflict = R"({"type":"document_event","event":"conflict_detected","seq":8,"version":1})";
  EXPECT_TRUE(arrive(0, R"({"type":"document_event","event":"user_joined","version":1})").ok());
  EXPECT_TRUE(arrive(0, conflict).ok());
  EXPECT_TRUE(arrive(1, conflict).ok());
  EXPECT_TRUE(arrive(0, event(0, 9, 2)).ok());
  EXPECT_FALSE(arrive(0, R"({"type":"document_event","event":"conflict_resolved","seq":10,"version":3})").ok());
  EXPECT_EQ(check_.conflicts(), 1U);
  EXPECT_EQ(check_.deliveries(), 1U);
}

TEST_F(DocumentCheckTest, ComparesTheServersDocumentByteForByte) {
  EXPECT_TRUE(arrive(0, events_[0]).ok());
  simdjson::dom::parser parser;
  DocumentReplica replica(DocumentKind::whiteboard);
  ASSERT_TRUE(replica.apply(types_[0], parser.parse(data_[0]).value_unsafe()).ok());
  const std::string content = replica.content_json();
  EXPECT_TRUE(check_.is_document(document(content, 2, 8)));
  EXPECT_FALSE(check_.is_document(document(content, 3, 8)));
  EXPECT_FALSE(check_.is_document(document(content, 2, 9)));
  EXPECT_FALSE(check_.is_document(document("{}", 2, 8)));
}

TEST_F(DocumentCheckTest, AWriterWhoDoesNotFollowIsNoMember) {
  DocumentCheck check({.id = "d", .members = 1, .writers = 1, .writers_follow = false}, random_);
  ASSERT_TRUE(check
                  .arrived(0,
                           R"({"type":"subscribed","document":{"content":{}},"version":1,"seq":7,"document_id":"d"})",
                           kStart)
                  .ok());
  const std::string id = check.make(0, kStart).id;
  EXPECT_FALSE(check.answered("another", 2, "applied", kLater).ok());
  EXPECT_TRUE(check.answered(id, 2, "applied", kLater).ok());
  EXPECT_EQ(check.in_flight(0), 1U);
  ids_ = {id};
  EXPECT_TRUE(check.arrived(0, event(0), kLater).ok());
  EXPECT_EQ(check.in_flight(0), 0U);
  EXPECT_EQ(check.delivery_latency().count(), 1U);
}

TEST_F(DocumentCheckTest, ReportsWhatTheServerRefused) {
  const Status refused = arrive(0, R"({"type":"error","code":"rate_limited","error":"500 a second"})");
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().text.find("500 a second"), std::string::npos);
  EXPECT_NE(refused.error().text.find("limits.operations_per_second"), std::string::npos);
}

}  // namespace
}  // namespace tidemark::app
