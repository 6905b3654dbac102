// The document service: documents in memory on their owner workers, and what each call does to them. Private to the
// document room.
//
// A call moves to the document's owner, decides there against the newest state in the order in which it came, and waits
// for the commit of the batch that its decision went into (sequencer.cc).
#pragma once

#include <set>

#include "core/uuid.h"
#include "document/live.h"
#include "document/personal.h"

namespace tidemark::document {

// Of everything that the client sent: tells a retry from another operation with the same id.
int64_t operation_hash(const Operation& operation);
int64_t hash_of(std::initializer_list<std::string_view> parts);
// The body of an operation of which only its version is known: it is no longer kept.
std::string unknown_operation(const std::string& doc_id, int64_t version);
// What is wrong with an idempotency key (empty: none), or a name.
std::optional<Error> check_id(std::string_view id);
std::optional<Error> check_name(std::string_view name);

class Service {
 public:
  Service(WorkerPool& workers, storage::Database& database, stream::Engine& engine, session::Sessions& sessions,
          const Clock& clock, Random& random, DocumentOptions options, std::string epoch, MetricRegistry& metrics);
  ~Service();

  using Caller = command::Caller;

  void start();
  Task<> end_waiting();
  const DocumentOptions& options() const { return options_; }
  const std::string& epoch() const { return epoch_; }

  // Each of these may be started on any worker and continues on it.
  Task<Result<Created>> create(Caller caller, CreateRequest request);
  Task<Result<Document>> get(Caller caller, std::string doc_id, int64_t version);
  Task<Result<Updated>> update(Caller caller, UpdateRequest request);
  Task<Result<Deleted>> remove(Caller caller, DeleteRequest request);
  Task<Result<Listed>> list(Caller caller, ListRequest request);
  Task<Result<Stats>> stats(Caller caller);
  // The operation's data is in the one spelling (spell_json).
  Task<Result<Applied>> apply(Caller caller, Operation operation);
  Task<Result<std::vector<Operation>>> history(Caller caller, HistoryRequest request);
  Task<Result<LockAnswer>> lock(Caller caller, LockRequest request);
  Task<Status> unlock(Caller caller, UnlockRequest request);
  Task<Result<std::optional<Lock>>> locked(Caller caller, std::string doc_id);
  Task<Result<std::vector<Conflict>>> conflicts(Caller caller, ConflictsRequest request);
  Task<Result<Conflict>> resolve(Caller caller, ResolveRequest request);
  Task<Result<Subscription>> subscribe(Caller caller, SubscribeRequest request, Sink sink);
  Task<Status> unsubscribe(Caller caller, std::string doc_id, std::string subscriber_id);

  // Of a WebSocket connection.
  struct Following {
    Document document;  // without content where `operations` say the way
    std::optional<std::vector<Operation>> operations;
    int64_t version = 0;  // that the client is at after these
    std::vector<std::string> users;
    stream::FollowRequest follow;
  };
  Task<Result<Following>> follow(Caller caller, std::string doc_id, std::optional<int64_t> since_version);
  Task<Result<stream::StreamKey>> unfollow(Caller caller, std::string doc_id);
  Task<Status> awareness(Caller caller, std::string doc_id, std::string state);

  Task<Result<EraseProgress>> erase_some(UserKey user, std::string pseudonym, EraseProgress progress);

  // Called by the timers of a document, on its owner.
  void lock_due(LiveDocument& live);
  void bookmark_due(LiveDocument& live);

 private:
  struct Shard;

  // --- documents in memory (service.cc)
  Worker& owner(const DocumentKey& key) const { return workers_.owner_of(DocumentKeyHash{}(key)); }
  Shard& shard_of(const LiveDocument& live) const;
  stream::StreamRef ref(const LiveDocument& live) const { return {live.details.stream, owner(live.key).index()}; }
  stream::StreamKey stream_key(const DocumentKey& key) const {
    return {key.tenant, stream::StreamKind::document, key.id};
  }
  struct Opened {
    LivePtr live;
    Gate::Pass pass;  // empty unless it was asked for
  };
  // Moves to the owner; the document as it is stored, read if needed. not_found unless it exists and the caller may read
  // it, forbidden without `needed`. `exclusive`: nobody else decides while the pass is held.
  Task<Result<Opened>> open(Caller caller, DocumentKey key, Right needed, bool exclusive = false);
  Task<Status> load(LivePtr live);
  void forget_copy(LiveDocument& live);
  Task<Result<Following>> follow_on_owner(Caller caller, DocumentKey key, std::optional<int64_t> since_version);
  static void forget_followed(Shard& shard, uint64_t connection, const DocumentKey& key);
  static void look_for_unused(Shard& shard);
  void drop_unused(Shard& shard);
  // not_found for a session that is somebody else's, gone for a closed one. On any worker that owns documents.
  Task<Status> check_session(Caller caller, std::string session);
  void session_ended(const UserKey& user, const SessionId& session);
  void session_alive(const UserKey& user, const SessionId& session);
  void connection_changed(const UserKey& user, const session::Connection& connection, bool gone, bool session_gone);
  void bind(LiveDocument& live, const std::string& session);
  void unbind(LiveDocument& live, const std::string& session);
  static std::vector<LivePtr> bound_to(Shard& shard, const TenantId& tenant, const std::string& session);
  template <class F>
  void on_every_shard(F function);
  static void drop_waiters(LiveDocument& live, const UserId& user, const std::string& session);

  // --- the sequencer (sequencer.cc)
  Batch& draft(LiveDocument& live);
  // Adds an entry under the next number; `counted` makes a version.
  stream::Entry& add_entry(LiveDocument& live, EntryKind kind, const std::string& author, std::string body,
                           bool counted = false, std::string client_id = {}, int64_t hash = 0);
  Task<> write_batches(LivePtr live);
  void committed(LiveDocument& live, Batch& batch);
  Task<> not_committed(LivePtr live, BatchPtr batch, Error error);
  void add_snapshot(LiveDocument& live, Batch& batch);
  Task<> compact(LivePtr live);
  static Result<stream::Page> read_page(storage::Transaction& tx, const stream::PageRequest& request);
  Document describe(const LiveDocument& live, bool with_content) const;
  static const LiveDocument::Known* known(const LiveDocument& live, const std::string& author, const std::string& id);
  void know(LiveDocument& live, const std::string& author, const std::string& id, LiveDocument::Known answer) const;

  // --- operations (service_operations.cc, deciding.cc)
  struct Verdict {
    std::optional<Error> refusal;
    std::optional<LiveDocument::Known> known;  // it was answered before
    std::vector<int64_t> missing;              // operations that have to be read first
    Applied applied;
    BatchPtr batch;
  };
  Task<Result<Applied>> apply_on_owner(Caller caller, Operation operation);
  Verdict decide(LiveDocument& live, const Operation& operation, int64_t hash);
  // As decide(), once lock and id are found good. Of the submission only its content and a forced policy are looked at.
  // `keyed`: the operation's id is its author's idempotency key.
  Verdict decide_content(LiveDocument& live, Operation operation, engine::Submission submission, int64_t hash,
                         bool keyed = true);
  Applied accept(LiveDocument& live, Operation operation, engine::Decision decision, const std::string& client_id,
                 int64_t hash, std::string_view policy);
  Applied park(LiveDocument& live, Operation operation, const engine::Decision& decision, const std::string& client_id,
               int64_t hash, std::string_view policy);
  Verdict queue_pending(LiveDocument& live, Operation operation, int64_t hash);
  void run_pending(LiveDocument& live);
  engine::Policy policy_for(const LiveDocument& live, const Operation& operation) const;
  Task<Result<Applied>> first_answer(LivePtr live, std::string author, Operation operation, LiveDocument::Known known,
                                     int64_t hash);
  Task<Status> read_operations(LivePtr live, std::vector<int64_t> versions);
  Conflict conflict_from(const LiveDocument& live, const engine::ConflictDraft& draft, const Operation& operation,
                         std::string_view policy, size_t& quota);
  static void remember(LiveDocument& live, int64_t version, std::string body);

  // --- locks (service_locks.cc)
  // stale_lock, locked, or nothing.
  static std::optional<Error> check_lock(const LiveDocument& live, const std::string& user, const std::string& session,
                                         int64_t fence);
  Task<Result<LockAnswer>> lock_on_owner(Caller caller, LockRequest request);
  Task<Status> unlock_on_owner(Caller caller, UnlockRequest request);
  static bool holds(const LiveDocument& live, const std::string& user, const std::string& session);
  Lock grant(LiveDocument& live, const std::string& user, const std::string& session, int64_t ttl_ms);
  void renew(LiveDocument& live, int64_t ttl_ms);
  void release(LiveDocument& live, std::string_view reason, bool raise_fence, const std::string& by);
  void grant_next(LiveDocument& live);
  void release_if_due(LiveDocument& live);
  void arm_lock(LiveDocument& live);
  void lock_changed(LiveDocument& live);
  Lock shown(const LiveDocument& live) const;

  // --- documents (service_documents.cc, service_changes.cc)
  Task<Result<Updated>> update_on_owner(Caller caller, UpdateRequest request);
  Task<Result<std::optional<Error>>> decide_update(LivePtr live, Caller caller, UpdateRequest request,
                                                   std::optional<State> state, std::string client_id, int64_t hash);
  void change_details(LiveDocument& live, const UpdateRequest& request, std::optional<State> state,
                      const std::string& user);
  void note_update(LiveDocument& live, const std::string& user, const std::string& client_id, int64_t hash);
  Task<Result<Deleted>> remove_on_owner(Caller caller, DeleteRequest request);
  // The document ends, whoever has it locked.
  void end_document(LiveDocument& live, const std::string& user);
  Task<Result<std::string>> content_at(LivePtr live, int64_t version);
  std::optional<Error> check_metadata(const Metadata& metadata) const;
  static Metadata without_people(Metadata metadata);

  // --- conflicts (service_conflicts.cc)
  Task<Result<Conflict>> resolve_on_owner(Caller caller, ResolveRequest request);
  Result<Conflict> decide_resolution(LiveDocument& live, const Caller& caller, const ResolveRequest& request,
                                     ConflictRow row);

  // --- erasing a user (service_erasure.cc)
  Task<> end_presence(UserKey user);
  // False: there is none (any more).
  Task<Result<bool>> release_one(UserKey user);
  Task<Result<bool>> leave_one(UserKey user, std::string pseudonym, EraseProgress* progress);
  bool leave(LiveDocument& live, const std::string& user, const std::string& pseudonym);
  Task<Result<EraseProgress>> erase_traces(UserKey user, std::string pseudonym, EraseProgress progress);
  Task<Result<store::Erased>> erase_from_document(UserKey user, std::string pseudonym, store::Mention document,
                                                  store::Erased so_far);
  static void forget_user(LiveDocument& live, const std::string& user, const std::string& pseudonym);

  // --- followers (service_followers.cc)
  // The entry behind which a subscriber's events begin, and the version there.
  struct Place {
    int64_t seq = 0;
    int64_t version = 0;
  };
  struct Missed {
    std::vector<Operation> operations;
    int64_t position = 0;  // the entry up to which they go
  };
  Task<Result<Missed>> operations_since(LivePtr live, int64_t since_version);
  Task<Result<std::shared_ptr<Follower>>> subscribe_on_owner(Caller caller, SubscribeRequest request, Sink sink,
                                                             Worker* from);
  Task<Result<Place>> place_of(LivePtr live, int64_t from_version, int64_t from_seq);
  stream::FollowRequest follow_request(const LiveDocument& live, int64_t position) const;
  void add_subscriber(LiveDocument& live, uint64_t id, Subscriber subscriber);
  void remove_subscriber(LiveDocument& live, uint64_t id);
  void watch_connection(const LiveDocument& live, const Caller& caller);
  // The user's subscriptions end; an empty user: all.
  void end_subscriptions(LiveDocument& live, const std::string& user, const Error& why);
  void tell(LiveDocument& live, std::string_view event, const std::string& user);
  void tell_awareness(LiveDocument& live, uint64_t id, const Subscriber& subscriber, std::string_view state);

  std::string new_id() const { return make_uuid7(clock_, random_).str(); }

  WorkerPool& workers_;
  storage::Database& database_;
  stream::Engine& engine_;
  session::Sessions& sessions_;
  const Clock& clock_;
  Random& random_;
  const DocumentOptions options_;
  const std::string epoch_;
  engine::Limits limits_;
  const BatchPtr settled_;  // for what needs no commit of its own
  std::vector<std::unique_ptr<Shard>> shards_;
  std::atomic<int64_t> bound_{0};  // locks, waiters and subscriptions: without any, connections are of no interest
  std::atomic<bool> ending_{false};
  std::atomic<uint64_t> next_follower_{uint64_t{1} << 62};  // beside the numbers of connections
  Counter& documents_total_;
  Counter& operations_total_;
  Counter& conflicts_total_;
  Gauge& subscribers_active_;
  Histogram& append_seconds_;
};

// Owner: its worker, which owns the documents in it.
struct Service::Shard {
  Shard(Service& of_service, Worker& of);

  Service& self;
  Worker& worker;
  std::unordered_map<DocumentKey, LivePtr, DocumentKeyHash> documents;
  // Sessions that were looked for: whose they are, or that there is none of the name.
  struct SeenSession {
    Gate gate;
    bool known = false;
    UserKey user;  // empty: no session of SessionService
    bool open = false;
    Instant seen_at{};
  };
  std::unordered_map<std::string, std::shared_ptr<SeenSession>> sessions;  // by tenant and id
  std::unordered_multimap<std::string, LiveDocument*> bound;  // by tenant and session: locks and who waits for one
  std::unordered_map<uint64_t, std::set<DocumentKey>> following;  // by connection
  std::unordered_map<uint64_t, std::set<DocumentKey>> followed;   // the same, of connections that live on this worker
  std::unordered_map<TenantId, int64_t> subscribers;
  Timer unused_timer;
};

}  // namespace tidemark::document
