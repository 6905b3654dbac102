// Entries, followers that come, go, are full and confirm, in an order that a seed chooses. The model: whatever happens,
// a follower gets the entries after its position once each and in order, and in the end it is at the head.
#include <cstdlib>
#include <iostream>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <tuple>

#include "stream/stream_fixture.h"

namespace tidemark::stream {
namespace {

constexpr int kStreams = 4;
constexpr int kActors = 6;
constexpr int kSteps = 600;
constexpr size_t kWindow = 12;

// A follower whose outlet may be full, with the model of what it must get. Owner: its worker.
class Actor final : public Outlet, public Subscriber::Events {
 public:
  Actor(Engine& engine, OutletId id, Worker& worker)
      : engine_(engine), worker_(worker), id_(id), user_(TenantId("t"), UserId("user " + std::to_string(id))) {}

  OutletId outlet_id() const override { return id_; }
  const UserKey& user() const override { return user_; }
  void signal(const Frame&) override {}
  void replay_failed(const Error&) override { complain("replay failed"); }
  void replay_finished() override {
    if (synced_) {
      complain("synced twice");
    }
    synced_ = true;
  }
  bool deliver(const StreamRef& stream, int64_t, const Frame& frame) override {
    if (room_ == 0) {
      return false;
    }
    --room_;
    if (!subscriber_ || subscriber_->key_of(stream.id) == nullptr) {
      complain("an entry of a stream that is not followed");
    }
    const std::string text(frame.payload());
    if (text[0] != 'e') {
      complain("unexpected " + text);
      return true;
    }
    std::vector<int64_t>& got = got_[stream.id];
    got.push_back(std::stoll(text.substr(1)));
    return true;
  }

  Worker& worker() { return worker_; }
  bool follows(const StreamKey& key) const { return subscriber_ && subscriber_->followed(key).has_value(); }

  void begin(std::vector<FollowRequest> requests) {
    end();
    subscriber_ = std::make_unique<Subscriber>(engine_, *this, *this);
    synced_ = false;
    for (const FollowRequest& one : requests) {
      start_at(one);
    }
    subscriber_->begin(std::move(requests));
  }
  void follow(const FollowRequest& one) {
    if (subscriber_ && !follows(one.key)) {
      start_at(one);
      subscriber_->follow(one);
    }
  }
  void unfollow(const StreamKey& key) {
    if (subscriber_) {
      subscriber_->unfollow(key);
    }
  }
  void end() { subscriber_.reset(); }
  void set_room(size_t room) {
    room_ = room;
    if (room > 0 && subscriber_) {
      subscriber_->resume();
    }
  }
  void confirm(StreamId stream) {
    const auto found = got_.find(stream);
    if (subscriber_ && found != got_.end() && !found->second.empty()) {
      subscriber_->confirm(stream, found->second.back());
    }
  }
  void was_answered(StreamId stream, int64_t seq) {
    if (subscriber_) {
      subscriber_->own_entry(stream, seq);
    }
  }
  bool synced() const { return !subscriber_ || synced_; }
  const std::string& complaint() const { return complaint_; }

  // The last entry up to which everything has come, or is the actor's own; checks the order on the way.
  int64_t reached(StreamId stream, const std::set<int64_t>& own) {
    int64_t at = from_[stream];
    for (const int64_t seq : got_[stream]) {
      while (at + 1 < seq && own.contains(at + 1)) {
        ++at;
      }
      if (seq != at + 1) {
        complain("stream " + std::to_string(static_cast<int64_t>(stream)) + ": e" + std::to_string(seq) + " after e" +
                 std::to_string(at));
        return -1;
      }
      at = seq;
    }
    while (own.contains(at + 1)) {
      ++at;
    }
    return at;
  }

 private:
  void start_at(const FollowRequest& one) {
    from_[one.ref.id] = one.position;
    got_[one.ref.id].clear();
  }
  void complain(const std::string& text) {
    if (complaint_.empty()) {
      complaint_ = text;
    }
  }

  Engine& engine_;
  Worker& worker_;
  const OutletId id_;
  const UserKey user_;
  std::unique_ptr<Subscriber> subscriber_;
  std::map<StreamId, int64_t> from_;
  std::map<StreamId, std::vector<int64_t>> got_;
  size_t room_ = SIZE_MAX;
  bool synced_ = false;
  std::string complaint_;
};

class FanoutRandom : public StreamFixture, public ::testing::WithParamInterface<std::tuple<int, int>> {
 protected:
  FanoutRandom()
      : StreamFixture(std::get<0>(GetParam()), {.tail_entries = 8, .tail_bytes = 1 << 20},
                      {.page_entries = 4, .window_entries = kWindow}) {
    for (int i = 0; i < kStreams; ++i) {
      refs_.push_back(make_stream(i % workers_.size()));
    }
    for (int i = 0; i < kActors; ++i) {
      Worker& worker = workers_.at(i / 2 % workers_.size());
      actors_.push_back(std::make_unique<Actor>(*engine_, static_cast<OutletId>(i + 1), worker));
    }
  }
  ~FanoutRandom() override {
    for (const auto& actor : actors_) {
      run_on(actor->worker(), [&] { actor->end(); });
    }
  }

  // Commits on the owner, as a room does, and publishes after `hops` turns elsewhere: publishes overtake one another.
  Task<> add_entry(StreamRef stream, OutletId origin, int hops) {
    Worker& owner = *Worker::current();
    const auto seq = co_await database_->write([stream](storage::Transaction& tx) -> Result<int64_t> {
      NewEntry entry;
      entry.author = "author";
      const auto appended = append(tx, stream.id, entry);
      return appended.ok() ? Result<int64_t>(appended->seq) : Result<int64_t>(appended.error());
    });
    if (origin != 0) {
      const std::lock_guard lock(mutex_);
      own_[{origin, stream.id}].insert(*seq);
    }
    for (int i = 0; i < hops; ++i) {
      co_await workers_.at((owner.index() + 1) % workers_.size()).enter();
      co_await owner.enter();
    }
    fanout_->publish(stream, *seq, Frame::text(entry_text(*seq)), origin);
    if (origin != 0) {
      Actor& actor = *actors_[origin - 1];
      actor.worker().post([&actor, stream, seq = *seq] { actor.was_answered(stream.id, seq); });
    }
    --running_;
  }

  // Follows with a position at most `behind` entries below the snapshot's head, `hops` turns after the snapshot.
  Task<> join(Actor& actor, std::vector<StreamRef> streams, bool anew, int64_t behind, int hops) {
    const Instant as_of = clock_.now();
    auto requests = co_await database_->read([&](storage::Transaction& tx) -> Result<std::vector<FollowRequest>> {
      std::vector<FollowRequest> all;
      for (const StreamRef& stream : streams) {
        const int64_t head = stream_by_id(tx, stream.id)->head;
        all.push_back(request(stream, head, std::max<int64_t>(head - behind, 0)));
        all.back().as_of = as_of;
      }
      return all;
    });
    for (int i = 0; i < hops; ++i) {
      co_await workers_.at((actor.worker().index() + 1) % workers_.size()).enter();
      co_await actor.worker().enter();
    }
    if (anew) {
      actor.begin(std::move(*requests));
    } else {
      for (const FollowRequest& one : *requests) {
        actor.follow(one);
      }
    }
    --running_;
  }

  void step(std::mt19937_64& random) {
    const auto below = [&](uint64_t bound) { return random() % bound; };
    const StreamRef stream = refs_[below(kStreams)];
    Actor& actor = *actors_[below(kActors)];
    const int hops = static_cast<int>(below(4));
    const uint64_t what = below(100);
    if (what < 50) {
      const OutletId origin = below(3) == 0 ? actor.outlet_id() : 0;
      ++running_;
      workers_.at(stream.owner).post([this, stream, origin, hops] { spawn(add_entry(stream, origin, hops)); });
    } else if (what < 65) {
      const bool anew = below(2) == 0;
      std::vector<StreamRef> streams{stream};
      if (anew) {
        streams = refs_;
      }
      const auto behind = static_cast<int64_t>(below(30));
      ++running_;
      actor.worker().post([=, this, &actor] { spawn(join(actor, streams, anew, behind, hops)); });
    } else if (what < 72) {
      actor.worker().post([&actor, stream] { actor.unfollow(key_of(stream.id)); });
    } else if (what < 76) {
      workers_.at(stream.owner).post([this, &actor, stream] { fanout_->expel(stream, actor.user()); });
    } else if (what < 86) {
      const size_t room = below(3) == 0 ? SIZE_MAX : below(6);
      actor.worker().post([&actor, room] { actor.set_room(room); });
    } else if (what < 97) {
      actor.worker().post([&actor, stream] { actor.confirm(stream.id); });
    } else {
      settle(workers_, 1);
    }
  }

  // On the actor's worker: everything followed is at the head.
  bool has_arrived(Actor& actor, const std::map<StreamId, int64_t>& heads) {
    bool arrived = actor.synced();
    for (const StreamRef& stream : refs_) {
      actor.confirm(stream.id);
      if (actor.follows(key_of(stream.id))) {
        const int64_t at = actor.reached(stream.id, own_[{actor.outlet_id(), stream.id}]);
        arrived = arrived && (at < 0 || at == heads.at(stream.id));
      }
    }
    return arrived || !actor.complaint().empty();
  }

  void run(uint64_t seed) {
    std::mt19937_64 random(seed);
    for (int i = 0; i < kSteps; ++i) {
      step(random);
    }
    ASSERT_TRUE(eventually(workers_.at(0), [this] { return running_ == 0; }));
    settle(workers_);
    std::map<StreamId, int64_t> heads;
    for (const StreamRef& stream : refs_) {
      heads[stream.id] = database_->read_now([&](storage::Transaction& tx) -> Result<StreamRow> {
        return *stream_by_id(tx, stream.id);
      })->head;
    }
    for (const auto& actor : actors_) {
      run_on(actor->worker(), [&] { actor->set_room(SIZE_MAX); });
    }
    for (const auto& actor : actors_) {
      const bool arrived = eventually(actor->worker(), [&] { return has_arrived(*actor, heads); });
      EXPECT_EQ(run_on(actor->worker(), [&] { return actor->complaint(); }), "") << "follower " << actor->outlet_id();
      EXPECT_TRUE(arrived) << "follower " << actor->outlet_id() << " is not at the head";
    }
  }

  std::vector<StreamRef> refs_;
  std::vector<std::unique_ptr<Actor>> actors_;
  std::mutex mutex_;
  std::map<std::pair<OutletId, StreamId>, std::set<int64_t>> own_;  // read only when nothing runs
  std::atomic<int> running_{0};
};
// Workers, and how often.
INSTANTIATE_TEST_SUITE_P(Of, FanoutRandom, ::testing::Combine(::testing::Values(1, 2, 3), ::testing::Range(0, 5)));

TEST_P(FanoutRandom, EveryFollowerGetsEveryEntryOnceAndInOrder) {
  const char* const given = std::getenv("TIDEMARK_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "TIDEMARK_SEED=" << seed << '\n';
  SCOPED_TRACE("TIDEMARK_SEED=" + std::to_string(seed));
  run(seed);
}

}  // namespace
}  // namespace tidemark::stream
