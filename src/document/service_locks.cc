// Locks: who holds a document, until when, and who is next. A lock and its document share one sequencer: the state here is
// what the next operation is decided on, and it is stored with the entry that says so.
#include <algorithm>

#include "document/service.h"

namespace tidemark::document {

bool Service::holds(const LiveDocument& live, const std::string& user, const std::string& session) {
  const auto& lock = live.details.lock;
  return lock && lock->user_id == user && lock->session_id == session;
}

std::optional<Error> Service::check_lock(const LiveDocument& live, const std::string& user, const std::string& session,
                                         int64_t fence) {
  const auto& lock = live.details.lock;
  if (fence != 0 && (!lock || lock->fence != fence)) {
    return fail(Code::stale_lock, "the lock with this fence is over");
  }
  if (lock && !holds(live, user, session)) {
    const int64_t left =
        std::chrono::duration_cast<std::chrono::milliseconds>(live.lock_until - Worker::current()->now()).count();
    return Error{Code::locked, "locked by " + lock->user_id, {}, std::max<int64_t>(left, 1)};
  }
  return std::nullopt;
}

Lock Service::shown(const LiveDocument& live) const {
  Lock lock = *live.details.lock;
  const auto left = live.lock_until - Worker::current()->now();
  lock.expires_at = clock_.unix_ms() + std::chrono::duration_cast<std::chrono::milliseconds>(left).count();
  return lock;
}

// After the lock has changed hands: its timer, and the session whose end would release it.
void Service::lock_changed(LiveDocument& live) {
  const auto& lock = live.details.lock;
  const std::optional<std::string> session = lock ? std::optional(lock->session_id) : std::nullopt;
  if (live.lock_session && live.lock_session != session) {
    unbind(live, *live.lock_session);
  }
  if (session && live.lock_session != session) {
    bind(live, *session);
  }
  live.lock_session = session;
  if (!lock) {
    live.lock_until = Instant{};
    live.holder_gone_until.reset();
    owner(live.key).cancel(live.lock_timer);
  }
}

void Service::arm_lock(LiveDocument& live) {
  if (!live.lock_session) {
    return;
  }
  const Instant due = live.holder_gone_until ? std::min(live.lock_until, *live.holder_gone_until) : live.lock_until;
  Worker& worker = owner(live.key);
  worker.arm(live.lock_timer, std::max(due - clock_.now(), std::chrono::nanoseconds(0)));
}

void Service::renew(LiveDocument& live, int64_t ttl_ms) {
  live.lock_until = Worker::current()->now() + std::chrono::milliseconds(ttl_ms);
  arm_lock(live);
}

Lock Service::grant(LiveDocument& live, const std::string& user, const std::string& session, int64_t ttl_ms) {
  draft(live).lock_changed = true;  // before the fence moves: the batch remembers the one before
  Lock lock;
  lock.id = new_id();
  lock.doc_id = live.key.id;
  lock.user_id = user;
  lock.session_id = session;
  lock.acquired_at = clock_.unix_ms();
  lock.expires_at = lock.acquired_at + ttl_ms;
  lock.active = true;
  lock.fence = ++live.details.fence;
  live.details.lock = lock;
  live.details.lock_ttl_ms = ttl_ms;
  live.holder_gone_until.reset();
  lock_changed(live);
  renew(live, ttl_ms);
  add_entry(live, EntryKind::lock_acquired, user, lock_body(lock, {}));
  return lock;
}

void Service::release(LiveDocument& live, std::string_view reason, bool raise_fence, const std::string& by) {
  draft(live).lock_changed = true;
  Lock lock = std::move(*live.details.lock);
  lock.active = false;
  live.details.lock.reset();
  live.details.lock_ttl_ms = 0;
  live.details.fence += raise_fence ? 1 : 0;
  lock_changed(live);
  add_entry(live, EntryKind::lock_released, by, lock_body(lock, reason));
  run_pending(live);
  grant_next(live);
}

// The first of those who wait that is still there and still may. Whoever else waits for the same session has it, too.
void Service::grant_next(LiveDocument& live) {
  while (!live.details.lock && !live.waiters.empty()) {
    LockWaiter& next = *live.waiters.front();
    const bool may = next.user.empty() || live.access.of(next.user.str()) >= Right::write;
    if (next.alive() && may && live.details.state != State::deleted) {
      next.granted = grant(live, next.user.str(), next.session, next.ttl_ms);
      next.batch = live.next;
    }
    next.leave();
  }
  for (auto it = live.waiters.begin(); live.details.lock && it != live.waiters.end();) {
    LockWaiter& other = **it++;
    if (holds(live, other.user.str(), other.session)) {
      other.granted = shown(live);
      other.batch = live.newest_batch() ? live.newest_batch() : settled_;
      other.leave();
    }
  }
}

// The timer may be late.
void Service::release_if_due(LiveDocument& live) {
  if (!live.details.lock) {
    return;
  }
  const Instant now = clock_.now();
  if (now >= live.lock_until) {
    release(live, "expired", false, live.details.lock->user_id);
  } else if (live.holder_gone_until && now >= *live.holder_gone_until) {
    release(live, "session_closed", false, live.details.lock->user_id);
  }
}

void Service::lock_due(LiveDocument& live) {
  const LivePtr kept = live.shared_from_this();
  if (!live.loaded || !live.exists) {
    // A batch was not stored: once it is read anew the lock has its full time again.
    spawn([](Service* self, LivePtr one) -> Task<> {
      Caller nobody;
      nobody.service = true;
      nobody.tenant = one->key.tenant;
      const auto opened = co_await self->open(nobody, one->key, Right::read);
      if (!opened.ok() && opened.error().code != Code::not_found) {
        one->lock_until = Worker::current()->now() + std::chrono::seconds(1);
        self->arm_lock(*one);
      }
    }(this, kept));
    return;
  }
  release_if_due(live);
  if (live.details.lock) {
    arm_lock(live);
  }
}

Task<Result<LockAnswer>> Service::lock(Caller caller, LockRequest request) {
  Worker& from = *Worker::current();
  auto answer = co_await lock_on_owner(std::move(caller), std::move(request));
  co_await from.enter();
  co_return answer;
}

Task<Result<LockAnswer>> Service::lock_on_owner(Caller caller, LockRequest request) {
  const int64_t ttl_max = options_.lock_ttl_max.count();
  if (request.ttl_ms < 0 || request.ttl_ms > ttl_max) {
    co_return invalid_field("ttl_ms", "at most " + std::to_string(ttl_max));
  }
  if (request.wait_ms < 0 || request.wait_ms > ttl_max) {
    co_return invalid_field("wait_ms", "at most " + std::to_string(ttl_max));
  }
  if (!request.session_id.empty() && !is_valid_id(request.session_id)) {
    co_return invalid_field("session_id", "1 to 128 bytes of UTF-8 without control characters");
  }
  const int64_t ttl_ms = request.ttl_ms > 0 ? request.ttl_ms : options_.lock_ttl.count();
  const DocumentKey key{caller.tenant, request.doc_id};
  Worker& worker = owner(key);
  co_await worker.enter();
  if (const Status session = co_await check_session(caller, request.session_id); !session.ok()) {
    co_return session.error();
  }
  const Instant deadline = worker.now() + std::chrono::milliseconds(request.wait_ms);
  const std::string user = caller.user.str();
  for (;;) {
    LivePtr live;
    {
      auto opened = co_await open(caller, key, Right::write);
      if (!opened.ok()) {
        co_return opened.error();
      }
      live = std::move(opened->live);
    }
    LockAnswer answer;
    BatchPtr batch;
    if (holds(*live, user, request.session_id)) {
      if (ttl_ms != live->details.lock_ttl_ms) {
        draft(*live).lock_changed = true;
        live->details.lock_ttl_ms = ttl_ms;
      }
      renew(*live, ttl_ms);
      answer.lock = shown(*live);
      batch = live->newest_batch();
    } else if (!live->details.lock && live->waiters.empty()) {
      answer.lock = grant(*live, user, request.session_id, ttl_ms);
      batch = live->next;
    } else if (ending_.load(std::memory_order_relaxed) || worker.clock().now() >= deadline ||
               live->waiters.size() >= options_.waiters) {
      answer.held_by_other = live->details.lock ? shown(*live) : Lock();
      co_return answer;
    } else {
      LockWaiter waiter(worker, [](void* context) { static_cast<LockWaiter*>(context)->leave(); });
      waiter.user = caller.user;
      waiter.session = request.session_id;
      waiter.ttl_ms = ttl_ms;
      waiter.abandoned = request.abandoned;
      waiter.queue = &live->waiters;
      live->waiters.push_back(&waiter);
      bind(*live, request.session_id);
      worker.arm(waiter.timer, deadline - worker.clock().now());
      co_await waiter.left();
      unbind(*live, request.session_id);
      if (!waiter.granted) {
        answer.held_by_other = live->details.lock ? shown(*live) : Lock();
        co_return answer;
      }
      answer.lock = std::move(waiter.granted);
      batch = std::move(waiter.batch);
    }
    const Batch::End end = batch ? co_await batch->ended() : Batch::End::committed;
    if (end == Batch::End::committed) {
      co_return answer;
    }
    if (end == Batch::End::failed) {
      co_return fail(Code::unavailable);
    }
  }
}

Task<> Service::end_waiting() {
  Worker& from = *Worker::current();
  ending_.store(true, std::memory_order_relaxed);
  for (const auto& shard : shards_) {
    co_await shard->worker.enter();
    for (const auto& [key, live] : shard->documents) {
      while (!live->waiters.empty()) {
        live->waiters.front()->leave();
      }
    }
  }
  co_await from.enter();
}

Task<Status> Service::unlock(Caller caller, UnlockRequest request) {
  Worker& from = *Worker::current();
  const Status unlocked = co_await unlock_on_owner(std::move(caller), std::move(request));
  co_await from.enter();
  co_return unlocked;
}

Task<Status> Service::unlock_on_owner(Caller caller, UnlockRequest request) {
  const DocumentKey key{caller.tenant, request.doc_id};
  for (;;) {
    LivePtr live;
    {
      auto opened = co_await open(caller, key, request.force ? Right::own : Right::read);
      if (!opened.ok()) {
        co_return opened.error();
      }
      live = std::move(opened->live);
    }
    const auto& lock = live->details.lock;
    if (!lock) {
      co_return fail(Code::not_found, "the document is not locked");
    }
    const bool by_session = !request.session_id.empty();
    const bool by_id = !request.lock_id.empty();
    const bool own = (!by_session || lock->session_id == request.session_id) && (!by_id || lock->id == request.lock_id) &&
                     (caller.user.empty() || lock->user_id == caller.user.str());
    if (request.force) {
      release(*live, "forced", true, caller.user.str());
    } else if (own) {
      release(*live, "released", false, caller.user.str());
    } else {
      co_return Error{Code::locked, "the lock is another session's", {}, 0};
    }
    const BatchPtr batch = live->next;
    const Batch::End end = co_await batch->ended();
    if (end != Batch::End::again) {
      co_return end == Batch::End::committed ? Status() : Status(fail(Code::unavailable));
    }
  }
}

Task<Result<std::optional<Lock>>> Service::locked(Caller caller, std::string doc_id) {
  Worker& from = *Worker::current();
  auto opened = co_await open(caller, DocumentKey(caller.tenant, std::move(doc_id)), Right::read);
  if (!opened.ok()) {
    co_await from.enter();
    co_return opened.error();
  }
  const LiveDocument& live = *opened->live;
  std::optional<Lock> lock = live.details.lock ? std::optional(shown(live)) : std::nullopt;
  const BatchPtr batch = live.newest_batch();
  const Batch::End end = batch ? co_await batch->ended() : Batch::End::committed;
  co_await from.enter();
  if (end != Batch::End::committed) {
    co_return fail(Code::unavailable);
  }
  co_return lock;
}

}  // namespace tidemark::document
