// A document in memory: the state that decisions are made from, what they want stored, and who waits. Private to the
// document room.
#pragma once

#include <coroutine>
#include <deque>
#include <list>
#include <unordered_map>

#include "core/gate.h"
#include "document/access.h"
#include "document/document_store.h"
#include "document/engine/document.h"
#include "document/follower.h"

namespace tidemark::document {

// Not an aggregate: see the keys of core/ids.h.
struct DocumentKey {
  DocumentKey() = default;
  DocumentKey(TenantId of_tenant, std::string of_id) : tenant(std::move(of_tenant)), id(std::move(of_id)) {}

  TenantId tenant;
  std::string id;
  friend bool operator==(const DocumentKey&, const DocumentKey&) = default;
  friend auto operator<=>(const DocumentKey&, const DocumentKey&) = default;
};
struct DocumentKeyHash {
  size_t operator()(const DocumentKey& key) const { return hash_pair(key.tenant.str(), key.id); }
};

// A stored operation as the engine takes it.
engine::Applied applied_of(const store::Stored& stored);

// An entry that a decision made.
struct Record {
  stream::Entry entry;
  std::string client_id;
  int64_t hash = 0;
};

// What decisions made since the last batch want stored: one transaction. Filled on the owner; not changed once it is
// being written.
class Batch {
 public:
  stream::StreamId stream{};
  // What the store has to look like before it.
  store::Head before;
  int64_t fence_before = 0;

  std::vector<Record> records;
  std::vector<ConflictRow> conflicts;
  std::vector<Pending> pending;
  std::vector<int64_t> done_pending;
  bool details_changed = false;
  bool lock_changed = false;
  bool cleared = false;  // the document was deleted
  std::string updated_by;
  std::vector<std::pair<std::string, int64_t>> expelled;  // users that may no longer read, and by which entry
  Details details;  // after it, where they or the lock changed
  std::optional<Snapshot> snapshot;

  enum class End : uint8_t {
    none,
    committed,
    again,   // nothing of it was stored, and the document is loaded anew: decide again
    failed,  // it may have been stored, or not
  };
  End end = End::none;

  // `co_await batch.ended()`: how it ended. On the owner.
  auto ended() {
    struct Awaiter {
      Batch& batch;
      bool await_ready() const { return batch.end != End::none; }
      void await_suspend(std::coroutine_handle<> handle) { batch.waiting_.push_back(handle); }
      End await_resume() const { return batch.end; }
    };
    return Awaiter{*this};
  }
  void settle(End how) {
    end = how;
    std::vector<std::coroutine_handle<>> waiting;
    waiting.swap(waiting_);
    for (const auto handle : waiting) {
      handle.resume();
    }
  }

 private:
  std::vector<std::coroutine_handle<>> waiting_;
};
using BatchPtr = std::shared_ptr<Batch>;

// Somebody who wants the lock. Lives in the coroutine that waits.
struct LockWaiter {
  LockWaiter(Worker& of, Timer::Fire fire) : worker(of), timer(fire, this) {}

  UserId user;  // empty: a service
  std::string session;
  int64_t ttl_ms = 0;
  std::shared_ptr<const std::atomic<bool>> abandoned;
  Worker& worker;
  Timer timer;
  std::list<LockWaiter*>* queue = nullptr;  // null: it waits no more
  std::optional<Lock> granted;
  BatchPtr batch;  // that stores the grant
  std::coroutine_handle<> waiting;

  bool alive() const { return abandoned == nullptr || !abandoned->load(std::memory_order_relaxed); }
  // Out of the queue, and on with its coroutine in a turn of its own.
  void leave() {
    worker.cancel(timer);
    queue->remove(this);
    queue = nullptr;
    worker.post([handle = waiting] { handle.resume(); });
  }
  auto left() {
    struct Awaiter {
      LockWaiter& self;
      bool await_ready() const { return self.queue == nullptr; }
      void await_suspend(std::coroutine_handle<> handle) { self.waiting = handle; }
      void await_resume() const {}
    };
    return Awaiter{*this};
  }
};

// Who follows a document.
struct Subscriber {
  UserKey user;
  session::Connection connection;      // of a WebSocket; its id is 0 for a gRPC stream
  std::shared_ptr<Follower> follower;  // of a gRPC stream
  std::string session;
  bool has_awareness = false;
};

class Service;

// Owner: the worker that its id hashes to.
//
// `details` and `content` are as of the newest decision, which may not be stored yet: `next` collects, `writing` is on
// its way. Nothing of a decision is told to anybody before its batch is committed; when one is not, everything here that
// is a copy of the store is dropped and read anew.
struct LiveDocument : std::enable_shared_from_this<LiveDocument> {
  LiveDocument(Service& of_service, DocumentKey of_key);

  Service& service;
  const DocumentKey key;
  Gate gate;  // held while it is loaded, and by commands that read the store before they decide
  bool loaded = false;
  Instant used_at{};

  // A copy of the store, and decisions since.
  bool exists = false;
  Details details;
  Access access;
  std::optional<engine::Document> content;
  std::deque<Pending> pending;
  int64_t next_pending = 1;
  int64_t snapshot_version = 0;
  size_t snapshot_bytes = 0;
  struct Known {
    int64_t seq = 0;
    int64_t hash = 0;
    int64_t version = 0;  // 0: it made none
  };
  std::unordered_map<std::string, Known> known;  // answers to the newest (author, operation id)
  std::deque<std::string> known_order;
  std::unordered_map<std::string, Known> found_again;  // older ones that somebody asked for; known after the next load
  std::map<int64_t, std::string> recent;  // bodies of the newest operations by version, for conflict records

  // What is stored for sure.
  int64_t committed_head = 0;
  int64_t committed_version = 1;

  BatchPtr next;
  BatchPtr writing;
  bool scheduled = false;
  bool compacting = false;

  // Of this process only.
  std::optional<std::string> lock_session;  // of the lock that connections and the timer are watched for
  Instant lock_until{};
  std::optional<Instant> holder_gone_until;  // the holder's connection is gone
  Timer lock_timer;
  std::list<LockWaiter*> waiters;
  std::unordered_map<uint64_t, Subscriber> subscribers;  // by stream::OutletId
  std::map<std::string, int> active_users;
  Instant told_at{};
  Timer bookmark_timer;

  bool busy() const { return gate.busy() || next || writing || scheduled || compacting; }
  std::vector<std::string> active_user_list() const;
  // The batch that has to be committed before what is seen now is true; null: it is.
  BatchPtr newest_batch() const { return next ? next : writing; }
};
using LivePtr = std::shared_ptr<LiveDocument>;

}  // namespace tidemark::document
