// The document room's door: shared documents that merge, report conflicts and can be locked.
//
// A document is a stream of entries with one sequencer, on the worker that owns its id. Every accepted operation gets the
// next version, is committed, then acknowledged, then published.
//
// Every coroutine here may be started on any worker and continues on it. The caller has been authenticated: it acts for
// `caller.user`; a service whose `user` is empty may do everything in its tenant.
//
// Refusals that all of them have: not_found for a document that is not there or that the caller may not read; forbidden
// where it may read but not do this; missing_field and invalid_field; unavailable (also when it may have been stored: the
// same id again gives the first answer).
#pragma once

#include <atomic>
#include <memory>
#include <span>

#include "core/random.h"
#include "document/model.h"
#include "session/session.h"
#include "storage/personal.h"

namespace tidemark::document {

extern const std::span<const storage::Migration> kMigrations;

struct DocumentOptions {
  std::chrono::milliseconds lock_ttl{30'000};
  std::chrono::milliseconds lock_ttl_max{3'600'000};
  std::chrono::milliseconds lock_grace{5000};  // a holder's connection may be gone for this long
  std::string conflict_policy = "merge";
  int64_t compact_after = 10'000;  // operations that stay readable behind the newest snapshot
  int64_t snapshot_every = 1000;   // operations between two snapshots
  size_t content_bytes = 4 * 1024 * 1024;
  size_t data_bytes = 256 * 1024;      // of one operation
  size_t metadata_bytes = 64 * 1024;   // of one document, as JSON
  std::chrono::milliseconds bookmark{10'000};
  size_t pending = 256;        // operations of one document that wait for a lock
  size_t waiters = 1024;       // that wait for the lock of one document
  size_t in_flight = 65'536;   // commands of one document that wait for their commit
  size_t subscriptions = 256;  // documents that one connection follows
  std::chrono::seconds unload_after{60};  // after its last use a document that nobody follows leaves the memory
};

struct CreateRequest {
  std::string id;  // idempotency key, empty: none
  std::string name;
  std::string type;
  std::string content;
  Metadata metadata;
};
struct Created {
  Document document;
  bool duplicate = false;
};

struct UpdateRequest {
  std::string id;  // idempotency key, empty: none
  std::string doc_id;
  std::string session_id;
  int64_t version = 0;  // that the author saw, for `content`; 0: current
  int64_t fence = 0;
  std::optional<std::string> name;
  std::optional<std::string> state;
  std::optional<Metadata> metadata;   // replaces all of it; absent permissions stay
  std::optional<std::string> content;  // the new whole content: its difference is applied as an operation
  int64_t restore_version = 0;         // instead of content: that of this version
};
// An operation or a change that was looked at. `refusal`: locked, stale_lock, stale_version, conflict, invalid_field,
// too_large; then nothing was stored.
struct Updated {
  std::optional<Error> refusal;
  Document document;  // as it is now, also after a refusal
};
struct DeleteRequest {
  std::string id;
  std::string doc_id;
  std::string session_id;
  int64_t fence = 0;
};
struct Deleted {
  std::optional<Error> refusal;
};

struct ListRequest {
  std::string type;  // empty: any; so the others
  std::string state;  // empty: active and archived
  std::string created_by;
  std::string user_id;  // documents that this user may read; a user sees its own only
  int64_t offset = 0;
  int64_t limit = 50;
};
struct Listed {
  std::vector<Document> documents;  // without content, the last changed first
  int64_t total = 0;
};

struct Applied {
  std::optional<Error> refusal;  // else the operation was stored
  Operation operation;           // what took effect; as it was sent where nothing did
  std::string body;              // of what took effect: the member `operation` as JSON; empty: make it of `operation`
  std::optional<Conflict> conflict;
  int64_t seq = 0;  // of its entry, 0: none
  bool duplicate = false;
};

struct HistoryRequest {
  std::string doc_id;
  int64_t from_version = 0;  // after this version, the oldest first; 0: the newest, ascending
  int64_t limit = 50;
};

struct LockRequest {
  std::string doc_id;
  std::string session_id;
  int64_t ttl_ms = 0;   // 0: lock_ttl
  int64_t wait_ms = 0;  // 0: do not queue
  // Set to true by the caller when nobody waits for the answer any more: then the lock is not granted. May be null.
  std::shared_ptr<const std::atomic<bool>> abandoned;
};
// Who has a lock that somebody else wants.
struct LockAnswer {
  std::optional<Lock> lock;
  std::optional<Lock> held_by_other;  // then `lock` is absent: `locked`
};
struct UnlockRequest {
  std::string doc_id;
  std::string session_id;  // without session and lock id the user is checked
  std::string lock_id;
  bool force = false;  // the owner of the document
};

struct ConflictsRequest {
  std::string doc_id;
  bool open_only = false;
  int64_t limit = 50;
};
struct ResolveRequest {
  std::string doc_id;
  std::string conflict_id;
  std::string session_id;
  std::string take;  // theirs, ours, operation
  std::optional<Operation> operation;
};

struct SubscribeRequest {
  std::string doc_id;
  std::string session_id;
  int64_t from_version = 0;  // events after this version; 0: from now on
  int64_t from_seq = 0;      // instead: events after this entry
  std::string epoch;         // if given and different: stale_version
};

// Where a subscription's events go. Called on the worker that subscribed, never from inside a call to the room.
struct Sink {
  // False: there is no room, nothing was taken. While it catches up from the log, the subscription waits for resume();
  // one that was live ends with `unavailable`: the client comes back with `from_seq`.
  std::function<bool(const Event&)> event;
  // Once, last: forbidden (the right was lost), not_found (deleted), unavailable (too slow, or the store does not
  // answer), or nothing (unsubscribed).
  std::function<void(const std::optional<Error>&)> ended;
};

// How far the erasure of a user has come.
struct EraseProgress {
  int64_t deleted = 0;  // documents that were the user's alone
  int64_t left = 0;     // others
  int64_t entries = 0;  // that named the user
  bool done = false;
  // Private to the room.
  bool begun = false;
  int64_t stream = 0;  // documents up to here are done, but for this one if it is `inside` it
  bool inside = false;
  int64_t seq = 0;
  int64_t conflict = 0;
};

struct Follower;

// A gRPC stream's hold on a document. Owner: the worker that subscribed. Its destruction ends the subscription without a
// word.
class Subscription {
 public:
  explicit Subscription(std::shared_ptr<Follower> follower);
  ~Subscription();
  Subscription(Subscription&&) noexcept = default;
  Subscription& operator=(Subscription&&) = delete;

  const std::string& id() const;  // the subscriber_id
  void start();                   // events come from now on; the first is the own user_joined
  void resume();                  // there is room again

 private:
  std::shared_ptr<Follower> follower_;
};

class Service;

class Documents {
 public:
  Documents(WorkerPool& workers, storage::Database& database, stream::Engine& engine, session::Sessions& sessions,
            const Clock& clock, Random& random, DocumentOptions options, std::string epoch, MetricRegistry& metrics);
  ~Documents();

  void add_commands(command::Table& table);
  void start();  // after the workers have started
  // Whoever waits for a lock gets no more than an answer, and nobody waits from now on (drain).
  Task<> end_waiting();

  using Caller = command::Caller;

  // The same id with other fields: conflict.
  Task<Result<Created>> create(Caller caller, CreateRequest request);
  // `version` 0: the newest. stale_version with field "version" below the compaction floor, invalid_field above the head.
  Task<Result<Document>> get(Caller caller, std::string doc_id, int64_t version);
  Task<Result<Updated>> update(Caller caller, UpdateRequest request);
  Task<Result<Deleted>> remove(Caller caller, DeleteRequest request);
  Task<Result<Listed>> list(Caller caller, ListRequest request);

  Task<Result<Applied>> apply(Caller caller, Operation operation);
  // stale_version below the compaction floor.
  Task<Result<std::vector<Operation>>> history(Caller caller, HistoryRequest request);

  Task<Result<LockAnswer>> lock(Caller caller, LockRequest request);
  // not_found: it is not locked. locked: by another session. forbidden: force without being the owner.
  Task<Status> unlock(Caller caller, UnlockRequest request);
  // The lock that is held now, if one is.
  Task<Result<std::optional<Lock>>> locked(Caller caller, std::string doc_id);

  Task<Result<std::vector<Conflict>>> conflicts(Caller caller, ConflictsRequest request);
  // not_found: no such conflict; conflict: it is closed.
  Task<Result<Conflict>> resolve(Caller caller, ResolveRequest request);

  // stale_version (field "from_version" or "from_seq" below the floor, field "epoch" for another epoch), invalid_field
  // above the head.
  Task<Result<Subscription>> subscribe(Caller caller, SubscribeRequest request, Sink sink);
  // Ends a subscription of the caller's user; not_found if there is none.
  Task<Status> unsubscribe(Caller caller, std::string doc_id, std::string subscriber_id);

  // Counts of what is stored and live, in the caller's tenant.
  Task<Result<Stats>> stats(Caller caller);

  // What is kept about one user, for the export.
  static std::vector<storage::PersonalPart> personal_parts();
  // The next step of an erasure, until it is `done`; again from the beginning after an interruption. First what the user
  // has open ends (locks, places in queues, subscriptions), then the documents: a document that nobody else may edit is
  // deleted, another gets its first editor as owner. At last the pseudonym takes the place of the user's id in what
  // remains, whose content stays.
  Task<Result<EraseProgress>> erase_some(UserKey user, std::string pseudonym, EraseProgress progress);

 private:
  std::unique_ptr<Service> service_;
};

}  // namespace tidemark::document
