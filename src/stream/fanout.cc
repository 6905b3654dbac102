#include "stream/fanout.h"

#include <algorithm>

#include "core/log.h"
#include "stream/fanout_parts.h"
#include "stream/store.h"

namespace tidemark::stream {
namespace {

// A number that is missing this long after a later one came will not come by itself (architecture: a lost bus event).
constexpr auto kHoleWait = std::chrono::milliseconds(20);

}  // namespace

Fanout::Fanout(WorkerPool& workers, storage::Database& database, FanoutOptions options, MetricRegistry& metrics)
    : workers_(workers),
      database_(database),
      options_(options),
      deliveries_(metrics.counter("tidemark_deliveries_total", "Entries put into outbound queues.")) {
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

void Fanout::signal_at(const StreamRef& stream, int64_t seq, Frame frame) {
  accept(Delivery{stream, Delivery::Kind::signal, seq, 0, std::move(frame), {}});
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

// On the owner: the last follower on that worker has gone.
void Fanout::left(const StreamRef& ref, int worker) {
  WorkerState& owner = here();
  const auto found = owner.owned.find(ref.id);
  if (found == owner.owned.end()) {
    return;
  }
  found->second.workers &= ~(uint64_t{1} << worker);
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
  owner.tails.drop_older(limit);
  if (!owner.recent.empty() || !owner.tails.empty()) {
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
