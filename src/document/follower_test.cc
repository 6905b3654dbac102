#include "document/follower.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "document/encode.h"
#include "stream/stream_fixture.h"

namespace tidemark::document {
namespace {

using ::testing::ElementsAre;

// A gRPC stream's follower, whose sink has room for so many events.
class DocumentFollower : public stream::StreamFixture {
 protected:
  DocumentFollower() {
    engine_->set_reader(stream::StreamKind::document, [](storage::Transaction& tx, const stream::PageRequest& request) {
      static constexpr storage::Sql kPage{"SELECT seq FROM entries WHERE stream = ? AND seq > ? AND seq <= ? LIMIT ?"};
      stream::Page page;
      for (storage::Statement& rows = tx.query(kPage, request.id, request.after, request.until, request.limit);
           rows.next();) {
        page.entries.push_back({rows.integer(0), frame(rows.integer(0))});
      }
      page.complete = page.entries.size() < static_cast<size_t>(request.limit);
      return Result<stream::Page>(std::move(page));
    });
    ref_ = make_stream();
    Sink sink;
    sink.event = [this](const Event& event) {
      if (room_ == 0) {
        return false;
      }
      --room_;
      got_.push_back(event.type + ":" + std::to_string(event.seq) + "/" + std::to_string(event.version));
      return true;
    };
    sink.ended = [this](const std::optional<Error>& error) {
      got_.push_back(error ? "ended:" + std::to_string(static_cast<int>(error->code)) : "ended");
    };
    follower_ = std::make_shared<Follower>(*engine_, workers_.at(0), 1, UserKey(TenantId("t"), UserId("u")), "sub",
                                           std::move(sink));
  }
  ~DocumentFollower() override {
    run_on(workers_.at(0), [&] { follower_->drop(); });
  }

  static stream::Frame frame(int64_t seq) {
    stream::Entry entry;
    entry.seq = seq;
    entry.kind = static_cast<int>(EntryKind::operation_applied);
    entry.ordinal = seq;
    return stream::Frame::text(event_json("doc", entry));
  }
  void start(int64_t head, int64_t position) {
    Follower::Place place;
    place.request = request(ref_, head, position);
    place.request.key = stream::StreamKey(TenantId("t"), stream::StreamKind::document, "doc");
    place.doc_id = "doc";
    place.version = position + 1;
    run_on(workers_.at(0), [&] {
      follower_->begin_at(std::move(place));
      follower_->start();
    });
    settle(workers_);
  }
  void publish_next() {
    const int64_t seq = commit(ref_);
    run_on(workers_.at(0), [&] { fanout_->publish(ref_, seq, frame(seq)); });
  }
  std::vector<std::string> got(size_t count) {
    eventually(workers_.at(0), [&] { return got_.size() >= count; });
    settle(workers_);
    return run_on(workers_.at(0), [&] { return got_; });
  }
  static std::string ended(Code code) { return "ended:" + std::to_string(static_cast<int>(code)); }

  stream::StreamRef ref_;
  size_t room_ = SIZE_MAX;
  std::vector<std::string> got_;
  std::shared_ptr<Follower> follower_;
};

TEST_F(DocumentFollower, TellsFirstThatItHasJoinedThenWhatFollows) {
  start(0, 0);
  publish_next();
  publish_next();
  EXPECT_THAT(got(3), ElementsAre("user_joined:0/1", "operation_applied:1/2", "operation_applied:2/3"));
}

TEST_F(DocumentFollower, ComesBackWhereItLeftOff) {
  commit(ref_, 5);
  start(5, 2);
  publish_next();
  EXPECT_THAT(got(5), ElementsAre("user_joined:2/3", "operation_applied:3/4", "operation_applied:4/5",
                                  "operation_applied:5/6", "operation_applied:6/7"));
}

TEST_F(DocumentFollower, WhatIsOnlyToldNeverGoesBack) {
  start(0, 0);
  publish_next();
  run_on(workers_.at(0), [&] {
    fanout_->signal(ref_, stream::Frame::text(told_json("doc", "user_left", "bob", 0, 9, 1, {})));
    fanout_->signal(ref_, stream::Frame::text(R"({"type":"awareness"})"));
  });
  publish_next();
  EXPECT_THAT(got(4), ElementsAre("user_joined:0/1", "operation_applied:1/2", "user_left:1/2", "operation_applied:2/3"));
}

TEST_F(DocumentFollower, ABookmarkIsForThoseWhoHaveEverything) {
  start(0, 0);
  publish_next();
  const auto bookmark = [&](int64_t seq) {
    run_on(workers_.at(0), [&] {
      fanout_->signal_at(ref_, seq, stream::Frame::text(told_json("doc", "bookmark", {}, seq, seq + 1, 1, {})));
    });
  };
  bookmark(1);
  bookmark(2);  // what nobody here has been handed yet
  EXPECT_THAT(got(3), ElementsAre("user_joined:0/1", "operation_applied:1/2", "bookmark:1/2"));
}

TEST_F(DocumentFollower, OneThatIsTooSlowIsEndedAndNothingIsSkipped) {
  start(0, 0);
  room_ = 1;
  for (int i = 0; i < 3; ++i) {
    publish_next();
  }
  EXPECT_THAT(got(3), ElementsAre("user_joined:0/1", "operation_applied:1/2", ended(Code::unavailable)));
}

TEST_F(DocumentFollower, OneThatCatchesUpWaitsForRoom) {
  commit(ref_, 3);
  room_ = 2;
  start(3, 0);
  EXPECT_THAT(got(2), ElementsAre("user_joined:0/1", "operation_applied:1/2"));
  run_on(workers_.at(0), [&] {
    room_ = SIZE_MAX;
    follower_->resume();
  });
  EXPECT_EQ(got(4).size(), 4u);
}

TEST_F(DocumentFollower, WhatIsNoLongerKeptEndsIt) {
  commit(ref_, 5);
  expire_up_to(ref_, 3);
  start(5, 1);
  EXPECT_THAT(got(2), ElementsAre("user_joined:1/2", ended(Code::stale_version)));
}

TEST_F(DocumentFollower, EndsOnce) {
  start(0, 0);
  run_on(workers_.at(0), [&] {
    follower_->end(std::nullopt);
    follower_->end(fail(Code::forbidden));
    follower_->drop();
  });
  publish_next();
  EXPECT_THAT(got(2), ElementsAre("user_joined:0/1", "ended"));
}

}  // namespace
}  // namespace tidemark::document
