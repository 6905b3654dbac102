// Subscriptions' ends, locks, conflicts, counts.
#include "rpc/document_handlers.h"
#include "rpc/document_messages.h"

namespace tidemark::rpc {
namespace {

namespace pb = ::aetherflow::statesync;
using command::Rate;

constexpr int64_t kConflictsMax = 200;
const std::string kNobody;  // the request does not say who is meant

}  // namespace

Task<Status> DocumentHandlers::unsubscribe(CallContext& call, const pb::UnsubscribeDocumentRequest& in,
                                           pb::UnsubscribeDocumentResponse& out) {
  if (const Status checked = check_object_id("subscriber_id", in.subscriber_id()); !checked.ok()) {
    co_return checked;
  }
  auto as = co_await admit(call, Rate::query, Named("user_id", in.user_id()), Named("doc_id", in.doc_id()));
  if (!as.ok()) {
    co_return as.error();
  }
  const Status ended = co_await documents_.unsubscribe(std::move(*as), in.doc_id(), in.subscriber_id());
  out.set_success(ended.ok());
  co_return ended;
}

Task<Status> DocumentHandlers::acquire(CallContext& call, const pb::AcquireLockRequest& in,
                                       pb::AcquireLockResponse& out) {
  auto as = co_await admit(call, Rate::edit, Named("user_id", in.user_id()), Named("doc_id", in.doc_id()));
  if (!as.ok()) {
    co_return as.error();
  }
  if (in.wait_ms() > 0 && !call.wait_at(waiting_)) {
    co_return fail(Code::unavailable, "too many wait at the moment");
  }
  document::LockRequest request;
  request.doc_id = in.doc_id();
  request.session_id = in.session_id();
  request.ttl_ms = in.ttl_ms();
  request.wait_ms = in.wait_ms();
  request.abandoned = call.abandoned;
  const auto answer = co_await documents_.lock(std::move(*as), std::move(request));
  if (!answer.ok()) {
    co_return answer.error();
  }
  if (answer->held_by_other) {
    const document::Lock& held = *answer->held_by_other;
    call.trailers.emplace_back("tidemark-lock-holder", header_text(held.user_id));
    call.trailers.emplace_back("tidemark-lock-expires", std::to_string(held.expires_at));
    co_return fail(Code::locked, "another session holds the lock");
  }
  write(*answer->lock, out.mutable_lock());
  co_return Status();
}

Task<Status> DocumentHandlers::release(CallContext& call, const pb::ReleaseLockRequest& in,
                                       pb::ReleaseLockResponse& out) {
  auto as = co_await admit(call, Rate::edit, Named("user_id", in.user_id()), Named("doc_id", in.doc_id()));
  if (!as.ok()) {
    co_return as.error();
  }
  document::UnlockRequest request;
  request.doc_id = in.doc_id();
  request.session_id = in.session_id();
  request.lock_id = in.lock_id();
  request.force = in.force();
  const Status released = co_await documents_.unlock(std::move(*as), std::move(request));
  out.set_success(released.ok());
  co_return released;
}

Task<Status> DocumentHandlers::is_locked(CallContext& call, const pb::IsLockedRequest& in, pb::IsLockedResponse& out) {
  auto as = co_await admit(call, Rate::query, Named("user_id", kNobody), Named("doc_id", in.doc_id()));
  if (!as.ok()) {
    co_return as.error();
  }
  const auto lock = co_await documents_.locked(std::move(*as), in.doc_id());
  if (!lock.ok()) {
    co_return lock.error();
  }
  out.set_locked(lock->has_value());
  if (*lock) {
    write(**lock, out.mutable_lock());
  }
  co_return Status();
}

Task<Status> DocumentHandlers::conflicts(CallContext& call, const pb::ListConflictsRequest& in,
                                         pb::ListConflictsResponse& out) {
  const auto limit = read_limit(in.limit(), kConflictsMax);
  if (!limit.ok()) {
    co_return limit.error();
  }
  auto as = co_await admit(call, Rate::query, Named("user_id", in.user_id()), Named("doc_id", in.doc_id()));
  if (!as.ok()) {
    co_return as.error();
  }
  document::ConflictsRequest request;
  request.doc_id = in.doc_id();
  request.open_only = in.open_only();
  request.limit = *limit;
  const auto found = co_await documents_.conflicts(std::move(*as), std::move(request));
  if (!found.ok()) {
    co_return found.error();
  }
  for (const document::Conflict& conflict : *found) {
    write(conflict, out.add_conflicts());
  }
  co_return Status();
}

Task<Status> DocumentHandlers::resolve(CallContext& call, const pb::ResolveConflictRequest& in,
                                       pb::ResolveConflictResponse& out) {
  if (const Status checked = check_object_id("conflict_id", in.conflict_id()); !checked.ok()) {
    co_return checked;
  }
  auto as = co_await admit(call, Rate::edit, Named("user_id", in.user_id()), Named("doc_id", in.doc_id()));
  if (!as.ok()) {
    co_return as.error();
  }
  document::ResolveRequest request;
  request.doc_id = in.doc_id();
  request.conflict_id = in.conflict_id();
  request.session_id = in.session_id();
  request.take = in.take();
  if (in.has_operation()) {
    auto operation = read(in.operation());
    if (!operation.ok()) {
      co_return operation.error();
    }
    request.operation = std::move(*operation);
  }
  const auto resolved = co_await documents_.resolve(std::move(*as), std::move(request));
  if (!resolved.ok()) {
    co_return resolved.error();
  }
  write(*resolved, out.mutable_conflict());
  co_return Status();
}

Task<Status> DocumentHandlers::stats(CallContext& call, const pb::GetStatsRequest&, pb::GetStatsResponse& out) {
  auto as = co_await admit(call, Rate::query, Named("user_id", kNobody));
  if (!as.ok()) {
    co_return as.error();
  }
  const auto counted = co_await documents_.stats(std::move(*as));
  if (!counted.ok()) {
    co_return counted.error();
  }
  write(*counted, out.mutable_stats());
  co_return Status();
}

}  // namespace tidemark::rpc
