// The window of a replay: how much of it may be unconfirmed.
#include "stream/stream_fixture.h"
#include "stream/subscriber.h"

namespace tidemark::stream {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAreArray;

class ReplayWindow : public StreamFixture {
 protected:
  explicit ReplayWindow(size_t window = 256)
      : StreamFixture(1, {}, {.page_entries = 64, .window_entries = window, .window_stall = seconds(60)}),
        stream_(make_stream()) {}

  Follower& follow_all(std::vector<FollowRequest> requests) {
    Follower& follower = make_follower();
    begin(follower, std::move(requests));
    return follower;
  }
  void confirm(Follower& follower, const StreamRef& stream, int64_t seq) {
    with(follower, [&](Subscriber& subscriber) { subscriber.confirm(stream.id, seq); });
  }
  bool stalled(Follower& follower, seconds later) {
    return run_on(follower.worker(), [&] { return follower.subscriber->window_stalled(clock_.now() + later); });
  }

  StreamRef stream_;
};

TEST_F(ReplayWindow, StopsAt256UnconfirmedAndContinuesWithConfirmations) {
  Follower& follower = follow_all({request(stream_, commit(stream_, 600), 0)});
  EXPECT_THAT(got(follower, 256), ElementsAreArray(entries(1, 256)));
  confirm(follower, stream_, 1);
  EXPECT_THAT(got(follower, 257), ElementsAreArray(entries(1, 257)));
  confirm(follower, stream_, 1);
  EXPECT_EQ(got(follower, 257).size(), 257u) << "nothing new was confirmed";
  confirm(follower, stream_, 257);
  EXPECT_THAT(got(follower, 513), ElementsAreArray(entries(1, 513)));
  confirm(follower, stream_, 513);
  auto expected = entries(1, 600);
  expected.push_back("synced");
  EXPECT_THAT(got(follower, 601), ElementsAreArray(expected));
}

TEST_F(ReplayWindow, IsOneForAllStreamsOfAConnection) {
  const StreamRef second = make_stream();
  commit(stream_, 200);
  commit(second, 200);
  Follower& follower = follow_all({request(stream_, 200, 0), request(second, 200, 0)});
  EXPECT_EQ(got(follower, 256).size(), 256u);
  confirm(follower, second, 56);
  EXPECT_EQ(got(follower, 312).size(), 312u);
}

TEST_F(ReplayWindow, SyncedDoesNotWaitForConfirmations) {
  Follower& follower = follow_all({request(stream_, commit(stream_, 256), 0)});
  EXPECT_EQ(got(follower, 257).back(), "synced");
}

TEST_F(ReplayWindow, DoesNotHoldBackLiveEntriesOfOtherStreams) {
  const StreamRef second = make_stream();
  commit(stream_, 300);
  Follower& follower = follow_all({request(stream_, 300, 0), request(second, 0, 0)});
  got(follower, 256);
  commit_and_publish(second, 2);
  const auto all = got(follower, 258);
  EXPECT_EQ(all[256], "2:e1");
  EXPECT_EQ(all[257], "2:e2");
}

TEST_F(ReplayWindow, LiveEntriesOfAReplayedStreamComeAfterTheReplay) {
  Follower& follower = follow_all({request(stream_, commit(stream_, 300), 0)});
  got(follower, 256);
  commit_and_publish(stream_, 2);
  confirm(follower, stream_, 256);
  auto all = got(follower, 303);
  std::erase(all, "synced");
  EXPECT_THAT(all, ElementsAreArray(entries(1, 302)));
}

TEST_F(ReplayWindow, StallsWithoutAConfirmation) {
  Follower& follower = follow_all({request(stream_, commit(stream_, 300), 0)});
  got(follower, 256);
  EXPECT_FALSE(stalled(follower, seconds(59)));
  EXPECT_TRUE(stalled(follower, seconds(61)));
  confirm(follower, stream_, 10);
  got(follower, 266);
  EXPECT_FALSE(stalled(follower, seconds(59)));
  confirm(follower, stream_, 266);
  got(follower, 301);
  EXPECT_FALSE(stalled(follower, seconds(61))) << "a window that is not full cannot stall";
}

TEST_F(ReplayWindow, IsNotFilledByLiveEntries) {
  Follower& follower = follow_all({request(stream_, 0, 0)});
  commit_and_publish(stream_, 300);
  EXPECT_EQ(got(follower, 301).size(), 301u);
  EXPECT_FALSE(stalled(follower, seconds(61)));
}

class SmallWindow : public ReplayWindow {
 protected:
  SmallWindow() : ReplayWindow(4) {}
};

TEST_F(SmallWindow, ForgetsTheEntriesOfAStreamThatWasLeft) {
  const StreamRef second = make_stream();
  commit(stream_, 4);
  commit(second, 2);
  Follower& follower = follow_all({request(stream_, 4, 0), request(second, 2, 0)});
  got(follower, 4);
  with(follower, [&](Subscriber& subscriber) { subscriber.unfollow(key_of(stream_.id)); });
  auto expected = entries(1, 4);
  expected.insert(expected.end(), {"2:e1", "2:e2", "synced"});
  EXPECT_THAT(got(follower, 7), ElementsAreArray(expected)) << "nobody can confirm them any more";
}

}  // namespace
}  // namespace tidemark::stream
