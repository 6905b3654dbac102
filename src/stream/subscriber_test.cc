#include "stream/subscriber.h"

#include "stream/stream_fixture.h"

namespace tidemark::stream {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

class SubscriberTest : public StreamFixture {
 protected:
  SubscriberTest()
      : StreamFixture(1, {.tail_entries = 2, .tail_bytes = 1 << 20}, {.page_entries = 3}), stream_(make_stream()) {}

  Follower& follow_from(int64_t position) {
    Follower& follower = make_follower();
    begin(follower, {request(stream_, head(), position)});
    return follower;
  }
  int64_t head() {
    return *database_->read_now([&](storage::Transaction& tx) -> Result<int64_t> {
      return stream_by_id(tx, stream_.id)->head;
    });
  }
  void make_room(Follower& follower, size_t room = SIZE_MAX) {
    run_on(follower.worker(), [&] {
      follower.room = room;
      follower.subscriber->resume();
    });
  }

  StreamRef stream_;
};

TEST_F(SubscriberTest, IsSyncedAtOnceWithNothingToFollow) {
  Follower& follower = make_follower();
  run_on(follower.worker(), [&] { begin_here(follower, {}); });
  EXPECT_THAT(got(follower, 1), ElementsAre("synced"));
}

TEST_F(SubscriberTest, IsSyncedOnceAfterEveryStream) {
  const StreamRef second = make_stream();
  commit(stream_, 7);
  commit(second, 4);
  Follower& follower = make_follower();
  begin(follower, {request(stream_, 7, 0), request(second, 4, 1)});
  auto expected = entries(1, 7);
  expected.insert(expected.end(), {"2:e2", "2:e3", "2:e4", "synced"});
  EXPECT_THAT(got(follower, 11), ElementsAreArray(expected));
  commit_and_publish(stream_);
  EXPECT_THAT(got(follower, 12).back(), "e8");
}

TEST_F(SubscriberTest, IsNotSyncedWhenOnlyTheFirstStreamWasInMemory) {
  const StreamRef second = make_stream();
  follow_from(0);
  commit_and_publish(stream_, 2);
  commit(second, 4);
  Follower& follower = make_follower();
  begin(follower, {request(stream_, 2, 0), request(second, 4, 0)});
  EXPECT_THAT(got(follower, 7), ElementsAre("e1", "e2", "2:e1", "2:e2", "2:e3", "2:e4", "synced"));
}

TEST_F(SubscriberTest, AFullOutletLagsAndContinuesFromTheLog) {
  Follower& follower = follow_from(0);
  run_on(follower.worker(), [&] { follower.room = 2; });
  commit_and_publish(stream_, 8);
  EXPECT_THAT(got(follower, 3), ElementsAre("synced", "e1", "e2"));
  make_room(follower, 3);
  EXPECT_THAT(got(follower, 6), ElementsAre("synced", "e1", "e2", "e3", "e4", "e5"));
  make_room(follower);
  got(follower, 9);
  commit_and_publish(stream_);
  const auto all = got(follower, 10);
  EXPECT_THAT(std::vector(all.begin() + 1, all.end()), ElementsAreArray(entries(1, 9)));
  EXPECT_GT(pages_read_, 0);
}

TEST_F(SubscriberTest, AFullOutletThatIsLittleBehindContinuesFromMemory) {
  Follower& follower = follow_from(0);
  run_on(follower.worker(), [&] { follower.room = 1; });
  commit_and_publish(stream_, 3);
  make_room(follower);
  EXPECT_THAT(got(follower, 4), ElementsAre("synced", "e1", "e2", "e3"));
  EXPECT_EQ(pages_read_, 0);
}

TEST_F(SubscriberTest, ASlowFollowerDelaysNobodyElse) {
  Follower& slow = follow_from(0);
  Follower& fast = follow_from(0);
  run_on(slow.worker(), [&] { slow.room = 0; });
  commit_and_publish(stream_, 5);
  EXPECT_THAT(got(fast, 6), ElementsAre("synced", "e1", "e2", "e3", "e4", "e5"));
  EXPECT_THAT(got(slow, 1), ElementsAre("synced"));
}

TEST_F(SubscriberTest, AnnouncesEntriesThatAreNoLongerKept) {
  commit(stream_, 8);
  expire_up_to(stream_, 4);
  EXPECT_THAT(got(follow_from(1), 6), ElementsAre("gap 1-5", "e5", "e6", "e7", "e8", "synced"));
}

TEST_F(SubscriberTest, AnnouncesThatNothingIsKept) {
  commit(stream_, 8);
  expire_up_to(stream_, 8);
  Follower& follower = follow_from(1);
  EXPECT_THAT(got(follower, 2), ElementsAre("gap 1-9", "synced"));
  commit_and_publish(stream_);
  EXPECT_THAT(got(follower, 3), ElementsAre("gap 1-9", "synced", "e9"));
}

TEST_F(SubscriberTest, AFullOutletGetsTheGapLater) {
  commit(stream_, 8);
  expire_up_to(stream_, 8);
  Follower& follower = make_follower();
  follower.room = 0;
  begin(follower, {request(stream_, 8, 1)});
  eventually(follower.worker(), [&] { return pages_read_ > 0; });
  make_room(follower);
  EXPECT_THAT(got(follower, 2), ElementsAre("gap 1-9", "synced"));
}

TEST_F(SubscriberTest, AnnouncesAGapOnceWhenTheEntryAfterItHasNoRoom) {
  commit(stream_, 5);
  expire_up_to(stream_, 4);
  Follower& follower = make_follower();
  follower.room = 1;
  begin(follower, {request(stream_, 5, 1)});
  got(follower, 1);
  make_room(follower);
  EXPECT_THAT(got(follower, 3), ElementsAre("gap 1-5", "e5", "synced"));
}

TEST_F(SubscriberTest, DoesNotReadItsOwnEntryFromTheLog) {
  Follower& author = follow_from(0);
  run_on(author.worker(), [&] { author.room = 0; });
  commit_and_publish(stream_);
  publish(stream_, commit(stream_), author.outlet_id());
  with(author, [&](Subscriber& subscriber) { subscriber.own_entry(stream_.id, 2); });
  commit_and_publish(stream_);
  make_room(author);
  EXPECT_THAT(got(author, 3), ElementsAre("synced", "e1", "e3"));
}

TEST_F(SubscriberTest, AReplayContainsTheDevicesOwnEntries) {
  commit(stream_, 2);
  block_reader();
  Follower& follower = follow_from(0);
  reader_entered_.acquire();
  with(follower, [&](Subscriber& subscriber) { subscriber.own_entry(stream_.id, 2); });
  unblock_reader();
  EXPECT_THAT(got(follower, 3), ElementsAre("e1", "e2", "synced"));
}

TEST_F(SubscriberTest, GetsNothingOfAStreamThatItMayNotReadAnyMore) {
  commit(stream_, 2);
  removed_ = true;  // the owner has not told anybody yet
  Follower& follower = follow_from(0);
  EXPECT_THAT(got(follower, 1), ElementsAre("synced"));
  with(follower, [&](Subscriber& subscriber) { EXPECT_EQ(subscriber.followed_count(), 0u); });
}

TEST_F(SubscriberTest, WhoCameBackWhileAPageWasForbiddenGetsEverything) {
  commit(stream_, 3);
  removed_ = true;
  block_reader();
  Follower& follower = make_follower();
  run_on(follower.worker(), [&] { begin_here(follower, {request(stream_, 2, 0)}); });
  reader_entered_.acquire();
  removed_ = false;
  with(follower, [&](Subscriber& subscriber) {
    subscriber.unfollow(key_of(stream_.id));
    subscriber.follow(request(stream_, 3, 0));
  });
  unblock_reader();
  EXPECT_THAT(got(follower, 4), ElementsAre("synced", "e1", "e2", "e3"));
}

TEST_F(SubscriberTest, FollowsOneMoreStreamLive) {
  const StreamRef second = make_stream();
  Follower& follower = follow_from(0);
  commit(second, 3);
  with(follower, [&](Subscriber& subscriber) {
    subscriber.follow(request(second, 3, 1));
    subscriber.follow(request(second, 3, 0));  // is followed already
  });
  EXPECT_THAT(got(follower, 3), ElementsAre("synced", "2:e2", "2:e3"));
  with(follower, [&](Subscriber& subscriber) {
    EXPECT_EQ(subscriber.followed_count(), 2u);
    EXPECT_EQ(subscriber.head_of(key_of(second.id)), 3);
    EXPECT_EQ(subscriber.followed(key_of(second.id)), second);
    EXPECT_EQ(*subscriber.key_of(second.id), key_of(second.id));
    EXPECT_FALSE(subscriber.catching_up());
    subscriber.unfollow(key_of(second.id));
    EXPECT_EQ(subscriber.head_of(key_of(second.id)), std::nullopt);
    EXPECT_EQ(subscriber.key_of(second.id), nullptr);
  });
  commit_and_publish(second);
  EXPECT_EQ(got(follower, 3).size(), 3u);
}

TEST_F(SubscriberTest, DoesNotDeliverWhatTheDeviceHasAlthoughTheWorkerDoesNotKnowItYet) {
  follow_from(0);
  commit(stream_, 2);  // published in a moment
  Follower& follower = make_follower();
  begin(follower, {request(stream_, 2, 2)});
  publish(stream_, 1);
  publish(stream_, 2);
  commit_and_publish(stream_);
  EXPECT_THAT(got(follower, 2), ElementsAre("synced", "e3"));
}

TEST_F(SubscriberTest, MayGoWhileAPageIsRead) {
  commit(stream_, 5);
  block_reader();
  Follower& follower = follow_from(0);
  reader_entered_.acquire();
  run_on(follower.worker(), [&] { follower.subscriber.reset(); });
  unblock_reader();
  EXPECT_THAT(got(follower, 0), ElementsAre());
}

TEST_F(SubscriberTest, LeavingAStreamWhileItsPageIsReadEndsTheReplay) {
  commit(stream_, 5);
  block_reader();
  Follower& follower = follow_from(0);
  reader_entered_.acquire();
  with(follower, [&](Subscriber& subscriber) { subscriber.unfollow(key_of(stream_.id)); });
  unblock_reader();
  EXPECT_THAT(got(follower, 1), ElementsAre("synced"));
}

TEST_F(SubscriberTest, SaysThatTheStoreDidNotAnswer) {
  commit(stream_, 5);
  database_->close();
  Follower& follower = make_follower();
  begin(follower, {request(stream_, 5, 0)});
  EXPECT_THAT(got(follower, 1), ElementsAre("failed"));
}

TEST_F(SubscriberTest, NamesAStreamInAGapAsClientsDo) {
  const StreamKey own(TenantId("t"), StreamKind::self, "alice");
  EXPECT_EQ(gap_frame(own, 3, 9).payload(), R"({"type":"gap","conversation_id":"@self","after_seq":3,"next_seq":9})");
  EXPECT_EQ(client_name(key_of(StreamId{7})), "c7");
}

class SubscriberElsewhere : public StreamFixture {
 protected:
  SubscriberElsewhere() : StreamFixture(2), stream_(make_stream(1)) {}
  StreamRef stream_;
};

// The page that was asked for under the first following comes back before the owner has answered the second.
TEST_F(SubscriberElsewhere, LosesNothingWhenAStreamIsLeftAndFollowedAgainWhileItsPageIsRead) {
  commit(stream_, 3);
  block_reader();
  Follower& follower = make_follower();
  begin(follower, {request(stream_, 2, 0)});
  reader_entered_.acquire();
  publish(stream_, 3);
  std::binary_semaphore owner_may_go{0};
  workers_.at(1).post([&] { owner_may_go.acquire(); });
  with(follower, [&](Subscriber& subscriber) {
    subscriber.unfollow(key_of(stream_.id));
    subscriber.follow(request(stream_, 2, 0));
  });
  unblock_reader();
  EXPECT_TRUE(database_->read_now([](storage::Transaction&) -> Status { return {}; }).ok());  // the page is answered
  run_on(follower.worker(), [] {});
  run_on(follower.worker(), [] {});
  owner_may_go.release();
  settle(workers_);
  commit_and_publish(stream_);
  auto all = got(follower, 5);
  std::erase(all, "synced");
  EXPECT_THAT(all, ElementsAreArray(entries(1, 4)));
}

// It was told before the group was deleted, or its user removed, and comes when nobody remembers that any more.
TEST_F(SubscriberTest, DoesNotFollowWhatItIsToldTooLate) {
  commit(stream_, 2);
  const StreamRef second = make_stream();
  commit(second, 2);
  Follower& follower = follow_from(2);
  with(follower, [&](Subscriber& subscriber) {
    FollowRequest late = request(second, 2, 0);
    late.as_of -= std::chrono::seconds(6);
    subscriber.follow(late);
    EXPECT_EQ(subscriber.followed_count(), 1u);
    late.key = key_of(stream_.id);
    subscriber.follow(late);  // is followed already
  });
  EXPECT_THAT(got(follower, 2), ElementsAre("synced", "failed"));
}

// A snapshot can be newer than what the worker was told; the device may confirm what it was sent.
TEST_F(SubscriberTest, KnowsWhatItHasReadAheadOfItsWorker) {
  commit_and_publish(stream_, 2);
  follow_from(2);
  commit(stream_);
  Follower& ahead = make_follower();
  begin(ahead, {request(stream_, 3, 0)});
  EXPECT_THAT(got(ahead, 4), ElementsAre("e1", "e2", "e3", "synced"));
  with(ahead, [&](Subscriber& subscriber) {
    EXPECT_EQ(subscriber.head_of(key_of(stream_.id)), 3);
    EXPECT_FALSE(subscriber.is_live(stream_.id, 3));
  });
  publish(stream_, 3);
  settle(workers_);
  with(ahead, [&](Subscriber& subscriber) { EXPECT_TRUE(subscriber.is_live(stream_.id, 3)); });
}

// Its own entry 2 was answered while somebody else's entry 1 is stored and not told: whoever confirms 2 confirms 1.
TEST_F(SubscriberTest, IsNotLiveUpToAnEntryBeforeTheOlderOnesHaveCome) {
  Follower& follower = make_follower();
  begin(follower, {request(stream_, 0, 0)});
  commit(stream_, 2);
  with(follower, [&](Subscriber& subscriber) {
    EXPECT_TRUE(subscriber.is_live(stream_.id, 0));
    EXPECT_FALSE(subscriber.is_live(stream_.id, 2));
  });
  publish(stream_, 1);
  publish(stream_, 2, follower.outlet_id());
  settle(workers_);
  with(follower, [&](Subscriber& subscriber) { EXPECT_TRUE(subscriber.is_live(stream_.id, 2)); });
}

}  // namespace
}  // namespace tidemark::stream
