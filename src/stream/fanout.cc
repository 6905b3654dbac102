#include "stream/fanout.h"

#include <algorithm>
#include <map>

#include "core/log.h"
#include "core/seeded_fault.h"
#include "stream/store.h"
#include "stream/subscriber.h"

namespace tidemark::stream {
namespace {

// Owners remember the heads of streams without followers for this long; a joiner's snapshot may be this old.
constexpr auto kRememberPublished = std::chrono::seconds(10);
constexpr auto kSnapshotAgeMax = std::chrono::seconds(5);
// A number that is missing this long after a later one came will not come by itself (architecture: a lost bus event).
constexpr auto kHoleWait = std::chrono::milliseconds(20);

}  // namespace

struct Fanout::Delivery {
  enum class Kind : uint8_t { entry, rewrite, jump, signal, expel };
  StreamRef stream;
  Kind kind = Kind::entry;
  int64_t seq = 0;
  OutletId origin = 0;
  Frame frame;
  std::optional<UserKey> user;  // signal: not to these; expel: these, or everybody if the id is empty
};

// Owner: the stream's owner worker.
struct Fanout::OwnerState {
  StreamId id{};
  int64_t head = -1;      // the last number that went out; -1: not known
  uint64_t workers = 0;   // bit set of the workers with followers
  Instant last_publish{};
  bool in_recent = false;
  // Came before a lower number did; nearly always nothing.
  using Parked = std::map<int64_t, Delivery>;
  std::unique_ptr<Parked> parked;
  std::vector<Delivery> expelled;  // for those who join with an older snapshot; kept as long as the head is
};

// What one worker knows: the streams it owns, and those that its outlets follow.
struct Fanout::WorkerState {
  WorkerState(Fanout& fanout, Worker& of)
      : self(fanout),
        worker(of),
        forget_timer([](void* context) { static_cast<WorkerState*>(context)->forget(); }, this),
        hole_timer([](void* context) { static_cast<WorkerState*>(context)->repair(); }, this) {}

  void forget() { self.forget_old(*this); }
  void repair() { self.repair_holes(*this); }

  Fanout& self;
  Worker& worker;
  Timer forget_timer;
  Timer hole_timer;

  std::unordered_map<StreamId, OwnerState> owned;
  struct Recent {
    StreamId id;
    Instant since;
  };
  std::deque<Recent> recent;       // owned streams that were published to, oldest first
  std::vector<StreamId> holes;     // owned streams that park entries

  std::unordered_map<StreamId, LocalStream> followed;
  struct Kept {
    StreamId id;
    size_t bytes;
    Instant since;
  };
  std::deque<Kept> kept;  // tail frames in the order they came
  size_t kept_bytes = 0;
  uint64_t generation = 0;
};

Fanout::Fanout(WorkerPool& workers, storage::Database& database, FanoutOptions options, MetricRegistry& metrics)
    : workers_(workers),
      database_(database),
      options_(options),
      deliveries_(metrics.counter("tidemark_deliveries_total", "Entries put into outbound queues.")) {
  TIDEMARK_CHECK(workers.size() <= 64);
  for (int i = 0; i < workers.size(); ++i) {
    states_.push_back(std::make_unique<WorkerState>(*this, workers.at(i)));
  }
}

Fanout::~Fanout() = default;

Fanout::WorkerState& Fanout::here() {
  Worker* const worker = Worker::current();
  TIDEMARK_CHECK(worker != nullptr);
  return *states_[static_cast<size_t>(worker->index())];
}

void Fanout::publish(const StreamRef& stream, int64_t seq, Frame frame, OutletId origin) {
  accept(Delivery{stream, Delivery::Kind::entry, seq, origin, std::move(frame), {}});
}

void Fanout::publish_rewrite(const StreamRef& stream, int64_t seq, Frame frame, OutletId origin) {
  accept(Delivery{stream, Delivery::Kind::rewrite, seq, origin, std::move(frame), {}});
}

void Fanout::signal(const StreamRef& stream, Frame frame, OutletId origin, std::optional<UserId> except) {
  std::optional<UserKey> user;
  if (except) {
    user = UserKey{TenantId(), std::move(*except)};
  }
  accept(Delivery{stream, Delivery::Kind::signal, 0, origin, std::move(frame), std::move(user)});
}

void Fanout::expel(const StreamRef& stream, UserKey user, int64_t seq) {
  accept(Delivery{stream, Delivery::Kind::expel, seq, 0, {}, std::move(user)});
}

void Fanout::accept(Delivery delivery) {
  Worker& owner = workers_.at(delivery.stream.owner);
  if (!owner.is_current()) {
    owner.post([this, moved = std::make_unique<Delivery>(std::move(delivery))] { accept(std::move(*moved)); });
    return;
  }
  WorkerState& worker = here();
  const bool expels = delivery.kind == Delivery::Kind::expel;
  if (delivery.kind == Delivery::Kind::signal || (expels && delivery.seq == INT64_MAX)) {
    const auto found = worker.owned.find(delivery.stream.id);
    if (found != worker.owned.end()) {
      forward(found->second, delivery);
    }
    return;
  }
  OwnerState& state = owner_state(worker, delivery.stream.id);
  remember(worker, state);
  if (expels) {
    forward(state, delivery);
    if (state.expelled.size() == LocalStream::kExpelledMax) {
      state.expelled.erase(state.expelled.begin());
    }
    state.expelled.push_back(std::move(delivery));
    return;
  }
  if (state.workers == 0) {
    state.head = std::max(state.head, delivery.seq);
    return;
  }
  if (delivery.seq <= state.head) {
    return;
  }
  if (delivery.seq == state.head + 1 && state.head >= 0 && state.parked == nullptr) {
    state.head = delivery.seq;
    forward(state, delivery);
    return;
  }
  const int64_t seq = delivery.seq;
  if (state.parked == nullptr) {
    state.parked = std::make_unique<OwnerState::Parked>();
  }
  state.parked->emplace(seq, std::move(delivery));
  if (state.head < 0) {
    return;  // a joiner is asking the store for the head: what its answer does not hold goes out then
  }
  release_in_order(state);
  if (state.parked != nullptr) {
    worker.holes.push_back(state.id);
    if (!worker.hole_timer.armed()) {
      worker.worker.arm(worker.hole_timer, kHoleWait);
    }
  }
}

void Fanout::remember(WorkerState& owner, OwnerState& state) {
  state.last_publish = owner.worker.now();
  if (!state.in_recent) {
    state.in_recent = true;
    owner.recent.push_back({state.id, state.last_publish});
    if (!owner.forget_timer.armed()) {
      owner.worker.arm(owner.forget_timer, kRememberPublished);
    }
  }
}

// Behind the answer to a join: the joiner's snapshot may be from before somebody was expelled.
void Fanout::expel_late(const OwnerState& state, int worker) {
  Worker& follower = workers_.at(worker);
  for (const Delivery& delivery : state.expelled) {
    if (follower.is_current()) {
      arrive(delivery);
    } else {
      follower.post([this, copy = std::make_unique<Delivery>(delivery)] { arrive(*copy); });
    }
  }
}

void Fanout::release_in_order(OwnerState& state) {
  while (state.parked != nullptr && state.parked->begin()->first <= state.head + 1) {
    auto node = state.parked->extract(state.parked->begin());
    if (state.parked->empty()) {
      state.parked.reset();
    }
    if (node.key() == state.head + 1) {
      state.head = node.key();
      forward(state, node.mapped());
    }
  }
}

void Fanout::forward(OwnerState& state, const Delivery& delivery) {
  for (int i = 0; i < workers_.size(); ++i) {
    if ((state.workers >> i & 1) == 0) {
      continue;
    }
    Worker& worker = workers_.at(i);
    if (worker.is_current()) {
      arrive(delivery);
    } else {
      worker.post([this, copy = std::make_unique<Delivery>(delivery)] { arrive(*copy); });
    }
  }
}

void Fanout::arrive(const Delivery& delivery) {
  WorkerState& worker = here();
  const auto found = worker.followed.find(delivery.stream.id);
  if (found == worker.followed.end()) {
    return;
  }
  LocalStream& stream = found->second;
  switch (delivery.kind) {
    case Delivery::Kind::signal:
      for (size_t i = 0; i < stream.followers.size(); ++i) {
        Outlet& outlet = stream.followers[i].subscriber->outlet();
        if (outlet.outlet_id() != delivery.origin && !(delivery.user && delivery.user->user == outlet.user().user)) {
          outlet.signal(delivery.frame);
        }
      }
      return;
    case Delivery::Kind::expel:
      if (delivery.seq != INT64_MAX) {
        if (stream.expelled.size() == LocalStream::kExpelledMax) {
          stream.expelled.erase(stream.expelled.begin());
        }
        stream.expelled.push_back({*delivery.user, delivery.seq});
      }
      for (size_t i = stream.followers.size(); i-- > 0;) {
        Subscriber& subscriber = *stream.followers[i].subscriber;
        if (stream.followers[i].since < delivery.seq &&
            (delivery.user->user.empty() || subscriber.outlet().user() == *delivery.user)) {
          const bool last = stream.followers.size() == 1;
          subscriber.expelled(stream);
          if (last) {
            return;  // the stream is gone with its last follower
          }
        }
      }
      return;
    case Delivery::Kind::jump:
      jump(stream, delivery.seq);
      return;
    case Delivery::Kind::entry:
    case Delivery::Kind::rewrite:
      if (!stream.joining && delivery.seq == stream.head + 1) {
        hand_out(stream, delivery);
      } else {
        jump(stream, delivery.seq);
      }
  }
}

// The head is known to be at `seq`, without the entries up to it: followers read the log.
void Fanout::jump(LocalStream& stream, int64_t seq) {
  if (stream.joining || seq <= stream.head) {
    return;
  }
  const int64_t before = stream.head;
  stream.tail.reset();
  stream.head = seq;
  for (size_t i = 0; i < stream.followers.size(); ++i) {
    stream.followers[i].subscriber->missed(stream, stream.followers[i], before);
  }
}

void Fanout::hand_out(LocalStream& stream, const Delivery& delivery) {
  keep_tail(here(), stream, delivery);
  const int64_t before = stream.head;
  stream.head = delivery.seq;
  for (size_t i = 0; i < stream.followers.size(); ++i) {
    LocalStream::Follower& follower = stream.followers[i];
    Subscriber& subscriber = *follower.subscriber;
    if (follower.lagging) {
      subscriber.head_moved(stream);
      continue;
    }
    if (delivery.origin != 0 && subscriber.outlet().outlet_id() == delivery.origin) {
      continue;
    }
    if (!subscriber.outlet().deliver(stream.ref, delivery.seq, delivery.frame)) {
      subscriber.fell_behind(stream, follower, before);
    }
    if (TIDEMARK_FAULT(deliver_twice)) {
      subscriber.outlet().deliver(stream.ref, delivery.seq, delivery.frame);
    }
  }
  deliveries_.add(stream.followers.size());
}

void Fanout::keep_tail(WorkerState& worker, LocalStream& stream, const Delivery& delivery) {
  if (delivery.kind == Delivery::Kind::rewrite) {
    stream.tail.reset();
  }
  if (stream.tail == nullptr) {
    stream.tail = std::make_unique<std::deque<LocalStream::Recent>>();
  }
  stream.tail->push_back({delivery.frame, worker.worker.now()});
  if (stream.tail->size() > options_.tail_entries) {
    stream.tail->pop_front();
  }
  worker.kept.push_back({delivery.stream.id, delivery.frame.size(), worker.worker.now()});
  worker.kept_bytes += delivery.frame.size();
  if (!worker.forget_timer.armed()) {
    worker.worker.arm(worker.forget_timer, kRememberPublished);
  }
  // Counting what streams have dropped themselves as still kept errs on the side of less memory.
  while (worker.kept_bytes > options_.tail_bytes || worker.kept.size() > options_.tail_bytes / 128) {
    const auto oldest = worker.kept.front();
    worker.kept.pop_front();
    worker.kept_bytes -= oldest.bytes;
    const auto found = worker.followed.find(oldest.id);
    if (found != worker.followed.end() && found->second.tail != nullptr) {
      found->second.tail->pop_front();
      if (found->second.tail->empty()) {
        found->second.tail.reset();
      }
    }
  }
}

// Who falls behind now is behind by what came lately; a silent stream holds nothing.
void Fanout::drop_tails(WorkerState& worker, Instant limit) {
  while (!worker.kept.empty() && worker.kept.front().since <= limit) {
    const auto oldest = worker.kept.front();
    worker.kept.pop_front();
    worker.kept_bytes -= oldest.bytes;
    const auto found = worker.followed.find(oldest.id);
    if (found == worker.followed.end() || found->second.tail == nullptr) {
      continue;
    }
    auto& tail = found->second.tail;
    while (!tail->empty() && tail->front().since <= limit) {
      tail->pop_front();
    }
    if (tail->empty()) {
      tail.reset();
    }
  }
}

LocalStream& Fanout::local_stream(const StreamRef& ref, const StreamKey& key, int64_t head, Instant as_of) {
  WorkerState& worker = here();
  const auto [slot, fresh] = worker.followed.try_emplace(ref.id);
  LocalStream& stream = slot->second;
  if (fresh) {
    stream.ref = ref;
    stream.key = key;
    stream.head = head;
    stream.generation = ++worker.generation;
    workers_.at(ref.owner).post([this, ref, index = worker.worker.index(), generation = stream.generation, head, as_of] {
      join(ref, index, generation, head, as_of);
    });
  }
  return stream;
}

void Fanout::leave(LocalStream& stream) {
  WorkerState& worker = here();
  const StreamRef ref = stream.ref;
  worker.followed.erase(ref.id);
  workers_.at(ref.owner).post([this, ref, index = worker.worker.index()] {
    WorkerState& owner = here();
    const auto found = owner.owned.find(ref.id);
    if (found == owner.owned.end()) {
      return;
    }
    found->second.workers &= ~(uint64_t{1} << index);
    if (found->second.workers == 0) {
      if (found->second.parked != nullptr) {
        // They are published and stored: the next joiner's snapshot may be older.
        found->second.head = std::max(found->second.head, found->second.parked->rbegin()->first);
        found->second.parked.reset();
      }
      if (!found->second.in_recent) {
        owner.owned.erase(found);
      }
    }
  });
}

void Fanout::join(const StreamRef& ref, int worker, uint64_t generation, int64_t head, Instant as_of) {
  WorkerState& owner = here();
  OwnerState& state = owner_state(owner, ref.id);
  const bool followed = state.workers != 0;
  state.workers |= uint64_t{1} << worker;
  if (!followed && owner.worker.now() - as_of > kSnapshotAgeMax) {
    state.head = -1;
  } else if (!followed) {
    state.head = std::max(state.head, head);
  }
  if (state.head < 0) {
    spawn(join_from_store(ref, worker, generation));
    return;
  }
  answer_join(ref.id, worker, generation, state.head);
  expel_late(state, worker);
}

// Direct on the own worker, as forward() is: what is forwarded after the answer must not overtake it.
void Fanout::answer_join(StreamId id, int worker, uint64_t generation, int64_t head) {
  Worker& follower = workers_.at(worker);
  if (follower.is_current()) {
    joined(id, generation, head);
  } else {
    follower.post([this, id, generation, head] { joined(id, generation, head); });
  }
}

Task<> Fanout::join_from_store(StreamRef ref, int worker, uint64_t generation) {
  Worker& owner = *Worker::current();
  auto row = co_await database_.read([ref](storage::Transaction& tx) -> Result<StreamRow> {
    const auto found = stream_by_id(tx, ref.id);
    return found ? Result<StreamRow>(*found) : Result<StreamRow>(fail(Code::not_found));
  });
  WorkerState& here_state = *states_[static_cast<size_t>(owner.index())];
  const auto found = here_state.owned.find(ref.id);
  if (found == here_state.owned.end()) {
    co_return;
  }
  if (!row.ok()) {
    log_warn("stream.head_unknown", {{"stream", static_cast<int64_t>(ref.id)}});
  }
  OwnerState& state = found->second;
  if (state.head < 0) {
    // Without an answer 0 will do: the next entry shows a hole, and followers read the log.
    state.head = row.ok() ? row->head : int64_t{0};
  }
  answer_join(ref.id, worker, generation, state.head);
  expel_late(owner_state(here_state, ref.id), worker);
  release_in_order(owner_state(here_state, ref.id));
}

void Fanout::joined(StreamId id, uint64_t generation, int64_t head) {
  WorkerState& worker = here();
  const auto found = worker.followed.find(id);
  if (found == worker.followed.end() || found->second.generation != generation) {
    return;
  }
  LocalStream& stream = found->second;
  stream.joining = false;
  stream.head = std::max(stream.head, head);
  // A follower may leave, and with the last one the stream goes: walk a copy.
  std::vector<Subscriber*> subscribers;
  for (const LocalStream::Follower& follower : stream.followers) {
    subscribers.push_back(follower.subscriber);
  }
  for (Subscriber* const subscriber : subscribers) {
    subscriber->stream_ready(stream);
  }
}

void Fanout::forget_old(WorkerState& owner) {
  const Instant limit = owner.worker.now() - kRememberPublished;
  while (!owner.recent.empty() && owner.recent.front().since <= limit) {
    const auto recent = owner.recent.front();
    owner.recent.pop_front();
    const auto found = owner.owned.find(recent.id);
    if (found == owner.owned.end()) {
      continue;
    }
    OwnerState& state = found->second;
    if (state.last_publish > limit) {
      owner.recent.push_back({state.id, state.last_publish});
      continue;
    }
    state.in_recent = false;
    state.expelled.clear();
    if (state.workers == 0) {
      owner.owned.erase(found);
    }
  }
  drop_tails(owner, limit);
  if (!owner.recent.empty() || !owner.kept.empty()) {
    owner.worker.arm(owner.forget_timer, std::chrono::seconds(1));
  }
}

void Fanout::repair_holes(WorkerState& owner) {
  std::vector<StreamId> holes;
  holes.swap(owner.holes);
  for (const StreamId id : holes) {
    const auto found = owner.owned.find(id);
    if (found == owner.owned.end() || found->second.parked == nullptr) {
      continue;
    }
    OwnerState& state = found->second;
    const Delivery& newest = state.parked->rbegin()->second;
    log_warn("stream.hole", {{"stream", static_cast<int64_t>(id)}, {"after", state.head}, {"next", newest.seq}});
    Delivery jump{newest.stream, Delivery::Kind::jump, newest.seq, 0, {}, {}};
    state.head = newest.seq;
    state.parked.reset();
    forward(state, jump);
  }
}

Fanout::OwnerState& Fanout::owner_state(WorkerState& owner, StreamId id) {
  OwnerState& state = owner.owned[id];
  state.id = id;
  return state;
}

}  // namespace tidemark::stream
