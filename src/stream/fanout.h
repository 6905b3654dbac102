// Fanout: from a committed entry to every queue that wants it, on every worker.
//
// Each stream has an owner worker (StreamRef::owner), which puts entries into the order of their numbers and knows which
// workers have followers. Each worker that has some keeps a LocalStream: the head it knows, its followers, and the
// newest frames. An entry costs one post per worker with followers, and every queue gets a reference to the same frame.
//
// Invariants:
//  1. A LocalStream's head only grows, one entry at a time or by an announced jump; every follower that is not lagging
//     has been handed every entry up to it.
//  2. A follower that could not take an entry, or came with an older cursor, is lagging: it reads the log (Subscriber).
//  3. An entry that was committed after a reader's snapshot reaches a follower that joins with that snapshot: owners
//     remember what was published in the last seconds, and ask the store when a snapshot is older than that.
//
// Owner: every method may be called from any worker; state is touched only by its worker.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "core/metrics.h"
#include "core/rare_list.h"
#include "core/worker.h"
#include "storage/database.h"
#include "stream/entry.h"
#include "stream/frame.h"

namespace tidemark::stream {

// What happened since an older snapshot may be forgotten: it is not followed from.
inline constexpr auto kSnapshotAgeMax = std::chrono::seconds(5);

// Where a stream is: its number and the index of the worker that owns its live state.
struct StreamRef {
  StreamId id{};
  int owner = 0;
  friend bool operator==(const StreamRef&, const StreamRef&) = default;
};

// Identifies an outlet in this process; never reused.
using OutletId = uint64_t;

// Where a follower's frames go: a WebSocket connection, a gRPC stream, a recorder in tests.
//
// Owner: its worker; all calls come from there. It lives longer than its Subscriber.
class Outlet {
 public:
  virtual OutletId outlet_id() const = 0;
  virtual const UserKey& user() const = 0;
  // Queues a durable entry. False: the queue is full and nothing was taken.
  virtual bool deliver(const StreamRef& stream, int64_t seq, const Frame& frame) = 0;
  // Queues what may be lost; the outlet drops it when its queue is long.
  virtual void signal(const Frame& frame) = 0;

 protected:
  ~Outlet() = default;
};

class Subscriber;
class Fanout;

// One worker's view of a stream. Owner: worker.
struct LocalStream {
  struct Follower {
    Subscriber* subscriber;
    uint32_t slot;  // index of this stream in the subscriber's list
    bool lagging;
    int64_t since;  // head of the snapshot that it was made from
  };
  struct Expelled {
    UserKey user;
    int64_t seq;
  };
  static constexpr size_t kExpelledMax = 64;  // the oldest are forgotten

  StreamRef ref;
  StreamKey key;
  int64_t head = 0;
  bool joining = true;      // the owner has not answered yet; entries are ignored, its answer says the head
  uint64_t generation = 0;  // tells the answer to this join from one to an earlier one
  std::vector<Follower> followers;
  RareList<Expelled, kExpelledMax> expelled;  // who may not follow with a snapshot from before entry `seq`

  // Frames of the newest entries, the last one is `head`'s; see Tails. Most streams are silent and have none.
  struct Kept {
    Frame frame;
    size_t bytes;  // that it is counted with
  };
  size_t tail_size() const { return tail == nullptr ? 0 : tail->size(); }
  std::unique_ptr<std::deque<Kept>> tail;
};

struct FanoutOptions {
  size_t tail_entries = 64;                 // newest frames kept per followed stream and worker, for ten seconds
  size_t tail_bytes = 32 * 1024 * 1024;     // of all streams of a worker, compressed and translated forms too
};

class Fanout {
 public:
  Fanout(WorkerPool& workers, storage::Database& database, FanoutOptions options, MetricRegistry& metrics);
  ~Fanout();

  WorkerPool& workers() { return workers_; }

  // After the commit of entry `seq`. `origin` is not sent the frame (its answer is), but it counts as handed over.
  void publish(const StreamRef& stream, int64_t seq, Frame frame, OutletId origin = 0);
  // An entry whose change makes kept frames of older entries untrue (an edit, a deletion): they are forgotten, and
  // followers that lag read the log.
  void publish_rewrite(const StreamRef& stream, int64_t seq, Frame frame, OutletId origin = 0);
  // Something that may be lost, to the followers but those of `except` (a user) and `origin`.
  void signal(const StreamRef& stream, Frame frame, OutletId origin = 0, std::optional<UserId> except = {});
  // The same, to followers that have been handed everything up to entry `seq`, the newest one.
  void signal_at(const StreamRef& stream, int64_t seq, Frame frame);
  // The user's outlets follow the stream no longer; nothing published after this call reaches them. An empty user:
  // nobody does. `seq`: the entry that says so; then an outlet that still comes with a snapshot from before it is
  // expelled as well, and one that comes with a newer one is not.
  void expel(const StreamRef& stream, UserKey user, int64_t seq = INT64_MAX);

 private:
  friend class Subscriber;
  struct OwnerState;
  struct WorkerState;
  struct Delivery;

  // The calling worker's view; made, and joined to its owner, if it is not there. `head` and `as_of` are a snapshot of
  // the stream's head and the time just before it was taken.
  LocalStream& local_stream(const StreamRef& ref, const StreamKey& key, int64_t head, Instant as_of);
  void leave(LocalStream& stream);

  void accept(Delivery delivery);                   // on the owner
  void remember(WorkerState& owner, OwnerState& state);
  void expel_late(const OwnerState& state, int worker);
  void release_in_order(OwnerState& state);         // on the owner
  void forward(OwnerState& state, const Delivery&);  // on the owner
  void arrive(const Delivery& delivery);            // on a worker with followers
  void hand_out(LocalStream& stream, const Delivery& delivery);
  void jump(LocalStream& stream, int64_t seq);
  // Frames from that entry on may have got another form, which has to be counted.
  void recount_tail(LocalStream& stream, int64_t from_seq);
  void left(const StreamRef& ref, int worker);
  void join(const StreamRef& ref, int worker, uint64_t generation, int64_t head, Instant as_of);
  void answer_join(StreamId id, int worker, uint64_t generation, int64_t head);
  Task<> join_from_store(StreamRef ref, int worker, uint64_t generation);
  void joined(StreamId id, uint64_t generation, int64_t head);
  void forget_old(WorkerState& owner);
  void repair_holes(WorkerState& owner);

  OwnerState& owner_state(WorkerState& owner, StreamId id);
  WorkerState& here();

  WorkerPool& workers_;
  storage::Database& database_;
  const FanoutOptions options_;
  Counter& deliveries_;
  std::vector<std::unique_ptr<WorkerState>> states_;  // one per worker, touched only by it
};

}  // namespace tidemark::stream
