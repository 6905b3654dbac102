#include "stream/fanout.h"

#include "stream/stream_fixture.h"

namespace tidemark::stream {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

// Where things are: a stream's owner and its followers may share a worker or not.
struct Places {
  int workers;
  int owner;
  int follower;
};

class FanoutTest : public StreamFixture, public ::testing::WithParamInterface<Places> {
 protected:
  FanoutTest() : StreamFixture(GetParam().workers), stream_(make_stream(GetParam().owner)) {}

  Follower& live_follower(int64_t head = 0, std::string user = "somebody") {
    Follower& follower = make_follower(GetParam().follower, std::move(user));
    begin(follower, {request(stream_, head, head)});
    EXPECT_THAT(got(follower, 1), ElementsAre("synced"));
    run_on(follower.worker(), [&] { follower.got.clear(); });
    return follower;
  }

  StreamRef stream_;
};
INSTANTIATE_TEST_SUITE_P(On, FanoutTest, ::testing::Values(Places{1, 0, 0}, Places{2, 0, 0}, Places{2, 1, 0}),
                         [](const auto& which) {
                           return std::string(which.param.workers == 1                         ? "OneWorker"
                                              : which.param.owner == which.param.follower ? "ItsOwner"
                                                                                           : "AnotherWorker");
                         });

TEST_P(FanoutTest, DeliversLiveEntriesInOrder) {
  Follower& follower = live_follower();
  commit_and_publish(stream_, 20);
  EXPECT_THAT(got(follower, 20), ElementsAreArray(entries(1, 20)));
  EXPECT_EQ(pages_read_, 0);
}

TEST_P(FanoutTest, DeliversToFollowersOnEveryWorker) {
  Follower& here = live_follower();
  Follower& there = make_follower(GetParam().workers - 1);
  begin(there, {request(stream_, 0, 0)});
  got(there, 1);
  commit_and_publish(stream_, 3);
  EXPECT_THAT(got(here, 3), ElementsAreArray(entries(1, 3)));
  EXPECT_THAT(got(there, 4), ElementsAre("synced", "e1", "e2", "e3"));
}

TEST_P(FanoutTest, SkipsTheOriginWhichCountsAsHandedOver) {
  Follower& author = live_follower();
  Follower& other = live_follower();
  publish(stream_, commit(stream_), author.outlet_id());
  commit_and_publish(stream_);
  EXPECT_THAT(got(other, 2), ElementsAre("e1", "e2"));
  EXPECT_THAT(got(author, 1), ElementsAre("e2"));
}

TEST_P(FanoutTest, ReplaysTheLogThenGoesLive) {
  const int64_t head = commit(stream_, 200);
  Follower& follower = make_follower(GetParam().follower);
  begin(follower, {request(stream_, head, 3)});
  auto expected = entries(4, 200);
  expected.push_back("synced");
  EXPECT_THAT(got(follower, expected.size()), ElementsAreArray(expected));
  commit_and_publish(stream_, 2);
  expected.insert(expected.end(), {"e201", "e202"});
  EXPECT_THAT(got(follower, expected.size()), ElementsAreArray(expected));
}

TEST_P(FanoutTest, PutsEntriesIntoOrder) {
  Follower& follower = live_follower();
  commit(stream_, 4);
  run_on(workers_.at(stream_.owner), [&] {
    for (const int64_t seq : {3, 1, 1, 4, 2, 3}) {
      fanout_->publish(stream_, seq, Frame::text(entry_text(seq)));
    }
  });
  EXPECT_THAT(got(follower, 4), ElementsAreArray(entries(1, 4)));
}

TEST_P(FanoutTest, TakesEntriesFromAnyWorker) {
  Follower& follower = live_follower();
  commit(stream_, 2);
  for (int64_t seq = 1; seq <= 2; ++seq) {
    run_on(workers_.at(GetParam().workers - 1), [&] { fanout_->publish(stream_, seq, Frame::text(entry_text(seq))); });
  }
  EXPECT_THAT(got(follower, 2), ElementsAreArray(entries(1, 2)));
}

TEST_P(FanoutTest, AHoleThatStaysIsReadFromTheLogOnce) {
  Follower& follower = live_follower();
  commit_and_publish(stream_, 3);
  commit(stream_, 3);
  publish(stream_, 6);  // 4 and 5 are lost on their way
  EXPECT_THAT(got(follower, 6), ElementsAreArray(entries(1, 6)));
  publish(stream_, 4);  // late after all
  commit_and_publish(stream_);
  EXPECT_THAT(got(follower, 7), ElementsAreArray(entries(1, 7)));
}

TEST_P(FanoutTest, AnEntryPublishedWhileAFollowerJoinsReachesIt) {
  commit(stream_, 1);
  Follower& follower = make_follower(GetParam().follower);
  run_on(follower.worker(), [&] {
    begin_here(follower, {request(stream_, 0, 0)});
    // Comes to the owner right behind the join, before the answer is back.
    workers_.at(stream_.owner).post([&] { fanout_->publish(stream_, 1, Frame::text("e1")); });
  });
  settle(workers_);
  commit_and_publish(stream_);
  auto all = got(follower, 3);
  std::erase(all, "synced");  // before or after the first: it is live
  EXPECT_THAT(all, ElementsAre("e1", "e2"));
}

TEST_P(FanoutTest, AnEntryPublishedBetweenSnapshotAndJoinReachesTheFollower) {
  Follower& follower = make_follower(GetParam().follower);
  const auto snapshot = request(stream_, 0, 0);
  commit_and_publish(stream_, 2);
  begin(follower, {snapshot});
  EXPECT_THAT(got(follower, 3), ElementsAre("e1", "e2", "synced"));
}

TEST_P(FanoutTest, ASnapshotThatIsTooOldIsNotTrusted) {
  Follower& follower = make_follower(GetParam().follower);
  auto old = request(stream_, 0, 0);
  old.as_of -= std::chrono::seconds(6);
  commit(stream_, 2);  // published so long ago that no owner remembers
  begin(follower, {old});
  EXPECT_THAT(got(follower, 3), ElementsAre("e1", "e2", "synced"));
  commit_and_publish(stream_);
  EXPECT_THAT(got(follower, 4), ElementsAre("e1", "e2", "synced", "e3"));
}

TEST_P(FanoutTest, WhatWaitedForALowerNumberIsNotForgottenWithTheLastFollower) {
  Follower& first = live_follower();
  const auto snapshot = request(stream_, 0, 0);
  commit(stream_, 2);
  publish(stream_, 2);
  with(first, [&](Subscriber& subscriber) { subscriber.unfollow(key_of(stream_.id)); });
  settle(workers_);
  Follower& second = make_follower(GetParam().follower);
  begin(second, {snapshot});
  publish(stream_, 1);
  auto all = got(second, 3);
  std::erase(all, "synced");
  EXPECT_THAT(all, ElementsAre("e1", "e2"));
}

TEST_P(FanoutTest, ExpelledUsersGetNothingPublishedAfterwards) {
  Follower& alice = live_follower(0, "alice");
  Follower& alice_too = live_follower(0, "alice");
  Follower& bob = live_follower(0, "bob");
  commit(stream_, 2);
  run_on(workers_.at(stream_.owner), [&] {
    fanout_->publish(stream_, 1, Frame::text("e1"));
    fanout_->expel(stream_, UserKey(TenantId("t"), UserId("alice")));
    fanout_->publish(stream_, 2, Frame::text("e2"));
  });
  EXPECT_THAT(got(bob, 2), ElementsAre("e1", "e2"));
  EXPECT_THAT(got(alice, 1), ElementsAre("e1"));
  EXPECT_THAT(got(alice_too, 1), ElementsAre("e1"));
  with(alice, [&](Subscriber& subscriber) { EXPECT_EQ(subscriber.followed_count(), 0u); });
}

TEST_P(FanoutTest, ExpellingNobodyInParticularExpelsAll) {
  Follower& alice = live_follower(0, "alice");
  Follower& bob = live_follower(0, "bob");
  run_on(workers_.at(stream_.owner), [&] { fanout_->expel(stream_, UserKey(TenantId("t"), UserId())); });
  commit_and_publish(stream_);
  EXPECT_THAT(got(alice, 0), ElementsAre());
  EXPECT_THAT(got(bob, 0), ElementsAre());
}

// Its connection was being opened when the user was removed: the snapshot still says that it may follow.
TEST_P(FanoutTest, ASnapshotFromBeforeTheRemovalFollowsNothing) {
  const int64_t before = commit(stream_);
  const int64_t removal = commit(stream_);
  run_on(workers_.at(stream_.owner), [&] {
    fanout_->expel(stream_, UserKey(TenantId("t"), UserId("alice")), removal);
    fanout_->publish(stream_, removal, Frame::text(entry_text(removal)));
  });
  Follower& late = make_follower(GetParam().follower, "alice");
  begin(late, {request(stream_, before, before)});
  EXPECT_THAT(got(late, 1), ElementsAre("synced"));
  Follower& back = make_follower(GetParam().follower, "alice");
  begin(back, {request(stream_, removal, removal)});
  Follower& late_again = make_follower(GetParam().follower, "alice");
  begin(late_again, {request(stream_, before, before)});
  commit_and_publish(stream_);
  EXPECT_THAT(got(back, 2), ElementsAre("synced", "e3"));
  EXPECT_THAT(got(late, 1), ElementsAre("synced"));
  EXPECT_THAT(got(late_again, 1), ElementsAre("synced"));
}

// Told to follow when it was added, and that comes behind the deletion.
TEST_P(FanoutTest, ASnapshotFromBeforeTheDeletionFollowsNothing) {
  const int64_t before = commit(stream_);
  const int64_t deletion = commit(stream_);
  run_on(workers_.at(stream_.owner), [&] {
    fanout_->publish(stream_, deletion, Frame::text(entry_text(deletion)));
    fanout_->expel(stream_, UserKey(TenantId("t"), UserId()), deletion);
  });
  Follower& late = make_follower(GetParam().follower, "alice");
  begin(late, {request(stream_, before, before)});
  EXPECT_THAT(got(late, 1), ElementsAre("synced"));
  with(late, [&](Subscriber& subscriber) { EXPECT_EQ(subscriber.followed_count(), 0u); });
}

TEST_P(FanoutTest, AnExpelledFollowerGetsNothingOfThePageOnItsWay) {
  Follower& follower = make_follower(GetParam().follower);
  block_reader();
  begin(follower, {request(stream_, commit(stream_, 3), 0)});
  reader_entered_.acquire();
  run_on(workers_.at(stream_.owner), [&] { fanout_->expel(stream_, follower.user()); });
  settle(workers_);
  unblock_reader();
  EXPECT_THAT(got(follower, 1), ElementsAre("synced"));
}

TEST_P(FanoutTest, SignalsReachAllButOriginAndExcepted) {
  Follower& origin = live_follower(0, "alice");
  Follower& excepted = live_follower(0, "bob");
  Follower& other = live_follower(0, "carol");
  run_on(workers_.at(0), [&] { fanout_->signal(stream_, Frame::text("typing"), origin.outlet_id(), UserId("bob")); });
  EXPECT_THAT(got(other, 1), ElementsAre("typing"));
  EXPECT_THAT(got(origin, 0), ElementsAre());
  EXPECT_THAT(got(excepted, 0), ElementsAre());
}

TEST_P(FanoutTest, ARewriteMakesLaggingFollowersReadTheLog) {
  live_follower();
  commit_and_publish(stream_, 2);
  settle(workers_);  // the follower's worker has both entries in memory
  Follower& from_tail = make_follower(GetParam().follower);
  begin(from_tail, {request(stream_, 2, 0)});
  EXPECT_THAT(got(from_tail, 3), ElementsAre("e1", "e2", "synced"));
  EXPECT_EQ(pages_read_, 0);
  commit(stream_);
  run_on(workers_.at(stream_.owner), [&] { fanout_->publish_rewrite(stream_, 3, Frame::text("e3")); });
  settle(workers_);
  Follower& from_log = make_follower(GetParam().follower);
  begin(from_log, {request(stream_, 3, 0)});
  EXPECT_THAT(got(from_log, 4), ElementsAre("e1", "e2", "e3", "synced"));
  EXPECT_GT(pages_read_, 0);
}

class FanoutTail : public StreamFixture {
 protected:
  FanoutTail() : StreamFixture(1, {.tail_entries = 4, .tail_bytes = 4096}) {}

  void follow_live(const StreamRef& stream) { begin(make_follower(), {request(stream, 0, 0)}); }
};

TEST_F(FanoutTail, KeepsTheNewestEntriesAndNoneMore) {
  const StreamRef stream = make_stream();
  follow_live(stream);
  commit_and_publish(stream, 10);
  begin(make_follower(), {request(stream, 10, 6)});
  EXPECT_THAT(got(*followers_.back(), 5), ElementsAre("e7", "e8", "e9", "e10", "synced"));
  EXPECT_EQ(pages_read_, 0);
  begin(make_follower(), {request(stream, 10, 5)});
  EXPECT_THAT(got(*followers_.back(), 6), ElementsAre("e6", "e7", "e8", "e9", "e10", "synced"));
  EXPECT_EQ(pages_read_, 1);
}

TEST_F(FanoutTail, OtherFormsThatFollowersAskedForCountToo) {
  const StreamRef stream = make_stream();
  Follower& asking = make_follower();
  asking.form = [](std::string_view payload, std::string_view) { return std::string(2000, 'x') + std::string(payload); };
  begin(asking, {request(stream, 0, 0)});
  commit_and_publish(stream, 4);
  begin(make_follower(), {request(stream, 4, 3)});
  EXPECT_THAT(got(*followers_.back(), 2), ElementsAre("e4", "synced"));
  EXPECT_EQ(pages_read_, 0);
  begin(make_follower(), {request(stream, 4, 0)});
  EXPECT_THAT(got(*followers_.back(), 5), ElementsAre("e1", "e2", "e3", "e4", "synced"));
  EXPECT_EQ(pages_read_, 1) << "4096 bytes hold one or two of them";
}

TEST_F(FanoutTail, KeepsNoMoreBytesThanAllowedOverAllStreams) {
  constexpr int kStreams = 20;
  const std::string payload(1000, 'x');
  std::vector<StreamRef> streams;
  for (int i = 0; i < kStreams; ++i) {
    streams.push_back(make_stream());
    follow_live(streams.back());
    commit(streams.back());
    run_on(workers_.at(0), [&] { fanout_->publish(streams.back(), 1, Frame::text(payload)); });
  }
  for (const StreamRef& stream : streams) {
    begin(make_follower(), {request(stream, 1, 0)});
    got(*followers_.back(), 2);
  }
  EXPECT_GE(pages_read_, kStreams - 4) << "4096 bytes hold four such frames, the others come from the log";
}

}  // namespace
}  // namespace tidemark::stream
