#include "document/service.h"

#include <algorithm>

#include "core/log.h"

namespace tidemark::document {
namespace {

using storage::Transaction;

constexpr auto kUnusedCheck = std::chrono::seconds(5);
constexpr auto kSessionSeenFor = std::chrono::seconds(30);
constexpr int64_t kKnownAtLoad = 2048;

// What the store holds of a document.
struct Found {
  std::optional<Details> details;
  std::optional<Snapshot> snapshot;
  std::vector<store::Stored> operations;  // after the snapshot
  std::vector<store::Stored> newest;      // whose ids are known again
  std::vector<Pending> pending;
};

}  // namespace

engine::Applied applied_of(const store::Stored& stored) {
  engine::Applied applied;
  if (const auto operation = operation_in(stored.entry.body)) {
    applied.version = static_cast<uint64_t>(operation->version);
    applied.id = operation->id;
    applied.session = operation->session_id;
    applied.type = operation->type;
    applied.data = operation->data;
    applied.trail = stored.entry.content;
  }
  return applied;
}

Service::Shard::Shard(Service& of_service, Worker& of)
    : self(of_service), worker(of), unused_timer([](void* context) {
        auto* const shard = static_cast<Shard*>(context);
        shard->self.drop_unused(*shard);
      }, this) {}

LiveDocument::LiveDocument(Service& of_service, DocumentKey of_key)
    : service(of_service),
      key(std::move(of_key)),
      lock_timer([](void* context) {
        auto* const live = static_cast<LiveDocument*>(context);
        live->service.lock_due(*live);
      }, this),
      bookmark_timer([](void* context) {
        auto* const live = static_cast<LiveDocument*>(context);
        live->service.bookmark_due(*live);
      }, this) {}

std::vector<std::string> LiveDocument::active_user_list() const {
  std::vector<std::string> users;
  for (const auto& [user, count] : active_users) {
    users.push_back(user);
  }
  return users;
}

Service::Service(WorkerPool& workers, storage::Database& database, stream::Engine& engine, session::Sessions& sessions,
                 const Clock& clock, Random& random, DocumentOptions options, std::string epoch, MetricRegistry& metrics)
    : workers_(workers),
      database_(database),
      engine_(engine),
      sessions_(sessions),
      clock_(clock),
      random_(random),
      options_(std::move(options)),
      epoch_(std::move(epoch)),
      settled_(std::make_shared<Batch>()),
      documents_total_(metrics.counter("statesync_documents_total", "Documents created.")),
      operations_total_(metrics.counter("statesync_operations_total", "Operations accepted.")),
      conflicts_total_(metrics.counter("statesync_conflicts_total", "Conflicts recorded.")),
      subscribers_active_(metrics.gauge("statesync_subscribers_active", "Subscriptions of documents.")),
      append_seconds_(metrics.histogram("tidemark_document_append_seconds", "Time from a decision to its commit.",
                                        exponential_bounds(0.0001, 2, 16))) {
  settled_->end = Batch::End::committed;
  limits_.data_bytes_max = options_.data_bytes;
  limits_.content_bytes_max = options_.content_bytes;
  limits_.history_max = static_cast<size_t>(options_.compact_after);
  for (int i = 0; i < workers.size(); ++i) {
    shards_.push_back(std::make_unique<Shard>(*this, workers.at(i)));
  }
  engine_.set_reader(stream::StreamKind::document, &Service::read_page);
  session::ConnectionEvents events;
  events.added = [this](const UserKey& user, const session::Connection& connection, const auto&) {
    connection_changed(user, connection, false, false);
  };
  events.removed = [this](const UserKey& user, const session::Connection& connection,
                          const std::vector<session::Connection>& left, CloseCode) {
    const bool session_gone = std::none_of(left.begin(), left.end(), [&](const session::Connection& one) {
      return one.session == connection.session;
    });
    connection_changed(user, connection, true, session_gone);
  };
  sessions_.add_events(std::move(events));
  session::SessionEvents session_events;
  session_events.ended = [this](const UserKey& user, const SessionId& session) { session_ended(user, session); };
  session_events.alive = [this](const UserKey& user, const SessionId& session) { session_alive(user, session); };
  sessions_.add_session_events(std::move(session_events));
}

Service::~Service() = default;

// Locks run out also when nobody asks for their documents.
void Service::start() {
  workers_.at(0).post([this] {
    spawn([](Service* self) -> Task<> {
      auto locked = co_await self->database_.read(
          [](Transaction& tx) -> Result<std::vector<std::pair<TenantId, std::string>>> { return store::locked(tx); });
      if (!locked.ok()) {
        log_warn("document.locks_not_read", {{"error", locked.error().text}});
        co_return;
      }
      for (const auto& [tenant, id] : *locked) {
        Caller nobody;
        nobody.service = true;
        nobody.tenant = tenant;
        (void)co_await self->open(nobody, DocumentKey(tenant, id), Right::read);
      }
    }(this));
  });
}

Service::Shard& Service::shard_of(const LiveDocument& live) const {
  Worker& worker = owner(live.key);
  worker.assert_owner();
  return *shards_[static_cast<size_t>(worker.index())];
}

Task<Result<Service::Opened>> Service::open(Caller caller, DocumentKey key, Right needed, bool exclusive) {
  Worker& worker = owner(key);
  co_await worker.enter();
  Shard& here = *shards_[static_cast<size_t>(worker.index())];
  LivePtr live;
  if (const auto found = here.documents.find(key); found != here.documents.end()) {
    live = found->second;
  } else {
    live = std::make_shared<LiveDocument>(*this, key);
    here.documents.emplace(key, live);
    look_for_unused(here);
  }
  live->used_at = worker.now();
  Gate::Pass pass(nullptr);
  if (exclusive || !live->loaded || live->gate.busy()) {
    // Whoever came first decides first: to go on without the gate while somebody waits at it would be to overtake.
    Gate::Pass entered = co_await live->gate.enter();
    if (!live->loaded) {
      if (const Status loaded = co_await load(live); !loaded.ok()) {
        co_return loaded.error();
      }
    }
    if (!exclusive) {
      entered.release();  // who waits behind goes on in a turn of its own, after this call
    } else {
      Opened opened{live, std::move(entered)};
      if (!live->exists) {
        co_return no_such_document();
      }
      if (const Status may = live->access.check(caller, needed); !may.ok()) {
        co_return may.error();
      }
      release_if_due(*live);
      co_return std::move(opened);
    }
  }
  if (!live->exists) {
    if (!live->busy() && live->subscribers.empty() && live->waiters.empty() && !live->lock_session) {
      here.documents.erase(key);
    }
    co_return no_such_document();
  }
  if (const Status may = live->access.check(caller, needed); !may.ok()) {
    co_return may.error();
  }
  release_if_due(*live);
  Opened opened{std::move(live), Gate::Pass(nullptr)};
  co_return std::move(opened);
}

// Under the gate.
Task<Status> Service::load(LivePtr live) {
  const DocumentKey& key = live->key;
  auto found = co_await database_.read([&](Transaction& tx) -> Result<Found> {
    Found result;
    result.details = store::find(tx, key.tenant, key.id);
    if (!result.details || result.details->state == State::deleted) {
      return result;
    }
    const stream::StreamId stream = result.details->stream;
    result.snapshot = store::snapshot_at(tx, stream, INT64_MAX);
    if (result.snapshot) {
      result.operations = store::operations_after(tx, stream, result.snapshot->seq, INT64_MAX);
    }
    result.newest = store::newest_operations(tx, stream, kKnownAtLoad);
    result.pending = store::pending(tx, stream);
    return result;
  });
  if (!found.ok()) {
    co_return found.error();
  }
  forget_copy(*live);
  live->loaded = true;
  live->exists = found->details && found->details->state != State::deleted;
  if (!live->exists) {
    co_return Status();
  }
  if (!found->snapshot) {
    co_return fail(Code::internal, "a document without a snapshot");
  }
  auto content = engine::Document::from_snapshot(found->snapshot->state, limits_);
  Status replayed = content.ok() ? Status() : Status(content.error());
  for (size_t i = 0; replayed.ok() && i < found->operations.size(); ++i) {
    replayed = content->apply(applied_of(found->operations[i]));
  }
  if (!replayed.ok()) {
    live->loaded = false;
    log_error("document.not_readable", {{"document", key.id}, {"error", replayed.error().text}});
    co_return fail(Code::internal, "the document cannot be read");
  }
  live->content.emplace(std::move(*content));
  live->details = std::move(*found->details);
  live->access = Access(*live->details.metadata.permissions);
  live->committed_head = live->details.head;
  live->committed_version = live->details.version;
  live->snapshot_version = found->snapshot->version;
  for (const store::Stored& stored : found->newest) {
    if (auto operation = operation_in(stored.entry.body)) {
      know(*live, stored.entry.author, operation->id, {stored.entry.seq, stored.hash, operation->version});
      remember(*live, operation->version, stored.entry.body);
    }
  }
  for (auto& [name, answer] : std::exchange(live->found_again, {})) {
    live->known.emplace(name, answer);
    live->known_order.push_back(name);
  }
  live->pending.assign(std::make_move_iterator(found->pending.begin()), std::make_move_iterator(found->pending.end()));
  live->next_pending = live->pending.empty() ? 1 : live->pending.back().number + 1;
  lock_changed(*live);
  if (live->details.lock) {
    renew(*live, live->details.lock_ttl_ms);  // a grant that survived a crash has its full time again
  }
  if (!live->details.lock) {
    run_pending(*live);
    grant_next(*live);
  }
  co_return Status();
}

void Service::forget_copy(LiveDocument& live) {
  live.loaded = false;
  live.exists = false;
  live.content.reset();
  live.pending.clear();
  live.known.clear();
  live.known_order.clear();
  live.recent.clear();
}

void Service::look_for_unused(Shard& shard) {
  if (!shard.unused_timer.armed()) {
    shard.worker.arm(shard.unused_timer, kUnusedCheck);
  }
}

// Documents that nobody follows, holds locked or has used lately leave the memory.
void Service::drop_unused(Shard& shard) {
  const Instant limit = shard.worker.now() - options_.unload_after;
  std::erase_if(shard.documents, [&](const auto& one) {
    const LiveDocument& live = *one.second;
    const bool wanted = !live.subscribers.empty() || !live.waiters.empty() || live.lock_session.has_value();
    return one.second.use_count() == 1 && !live.busy() && !wanted && live.used_at <= limit;
  });
  const Instant seen = shard.worker.now() - kSessionSeenFor;
  std::erase_if(shard.sessions, [&](const auto& one) {
    return one.second.use_count() == 1 && !one.second->gate.busy() && one.second->seen_at <= seen;
  });
  if (!shard.documents.empty() || !shard.sessions.empty()) {
    look_for_unused(shard);
  }
}

}  // namespace tidemark::document
