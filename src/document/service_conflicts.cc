// Conflicts: what was parked, and how somebody decides.
#include "document/service.h"

namespace tidemark::document {
namespace {

using storage::Transaction;

constexpr int64_t kConflictsMax = 200;

}  // namespace

Task<Result<std::vector<Conflict>>> Service::conflicts(Caller caller, ConflictsRequest request) {
  Worker& from = *Worker::current();
  if (request.limit < 1 || request.limit > kConflictsMax) {
    co_return invalid_field("limit", "1 to 200");
  }
  auto opened = co_await open(caller, DocumentKey(caller.tenant, request.doc_id), Right::read);
  if (!opened.ok()) {
    co_await from.enter();
    co_return opened.error();
  }
  const stream::StreamId stream = opened->live->details.stream;
  co_await from.enter();
  co_return co_await database_.read([&](Transaction& tx) -> Result<std::vector<Conflict>> {
    return store::conflicts(tx, stream, request.open_only, request.limit);
  });
}

Task<Result<Conflict>> Service::resolve(Caller caller, ResolveRequest request) {
  Worker& from = *Worker::current();
  auto resolved = co_await resolve_on_owner(std::move(caller), std::move(request));
  co_await from.enter();
  co_return resolved;
}

Task<Result<Conflict>> Service::resolve_on_owner(Caller caller, ResolveRequest request) {
  if (request.take != "theirs" && request.take != "ours" && request.take != "operation") {
    co_return invalid_field("take", "theirs, ours or operation");
  }
  if ((request.take == "operation") != request.operation.has_value()) {
    co_return request.operation ? invalid_field("operation", "only with take = operation")
                                : Error{Code::missing_field, "required with take = operation", "operation", 0};
  }
  const DocumentKey key{caller.tenant, request.doc_id};
  co_await owner(key).enter();
  if (const Status session = co_await check_session(caller, request.session_id); !session.ok()) {
    co_return session.error();
  }
  for (;;) {
    // Alone: of two who decide one is told that it is done.
    auto opened = co_await open(caller, key, Right::write, true);
    if (!opened.ok()) {
      co_return opened.error();
    }
    const LivePtr live = opened->live;
    if (const BatchPtr before = live->newest_batch()) {
      if (co_await before->ended() != Batch::End::committed) {
        continue;
      }
    }
    const stream::StreamId stream = live->details.stream;
    auto row = co_await database_.read([&](Transaction& tx) -> Result<std::optional<ConflictRow>> {
      return store::conflict(tx, stream, request.conflict_id);
    });
    if (!row.ok()) {
      co_return row.error();
    }
    if (!live->loaded) {
      continue;
    }
    if (!*row) {
      co_return fail(Code::not_found, "no such conflict");
    }
    if (!(*row)->open) {
      co_return fail(Code::conflict, "the conflict is closed");
    }
    auto decided = decide_resolution(*live, caller, request, std::move(**row));
    if (!decided.ok()) {
      co_return decided.error();
    }
    const BatchPtr batch = live->next;
    opened->pass.release();
    const Batch::End end = co_await batch->ended();
    if (end == Batch::End::committed) {
      co_return std::move(*decided);
    }
    if (end == Batch::End::failed) {
      co_return fail(Code::unavailable);
    }
  }
}

Result<Conflict> Service::decide_resolution(LiveDocument& live, const Caller& caller, const ResolveRequest& request,
                                            ConflictRow row) {
  const std::string user = caller.user.str();
  if (live.details.state == State::archived) {
    return Error{Code::conflict, "the document is archived", "state", 0};
  }
  if (auto refused = check_lock(live, user, request.session_id, request.operation ? request.operation->fence : 0)) {
    return std::move(*refused);
  }
  std::optional<Operation> operation;
  if (request.take == "theirs") {
    operation = row.conflict.ops.back();
    operation->type = row.parked.type;
    operation->data = row.parked.data;
    operation->prev_version = row.parked.version;
  } else if (request.take == "operation") {
    operation = request.operation;
    operation->doc_id = live.key.id;
    operation->user_id = user;
  }
  if (operation) {
    // Nobody's session: whoever made it goes on without having seen it take effect (docs/protocol.md, "the same session's
    // own operations since").
    operation->session_id.clear();
    engine::Submission submission;
    submission.data = operation->data;
    submission.policy = engine::Policy::forced;
    Verdict verdict = decide_content(live, *operation, submission, 0, false);
    if (verdict.refusal) {
      return std::move(*verdict.refusal);
    }
    row.conflict.resolved_op = std::move(verdict.applied.operation);
  }
  row.open = false;
  row.parked = {};
  row.conflict.resolved_by = user.empty() ? "service" : user;
  row.conflict.resolved_at = clock_.unix_ms();
  add_entry(live, EntryKind::conflict_resolved, user, conflict_body(row.conflict));
  Conflict conflict = row.conflict;
  Batch& batch = draft(live);
  batch.conflicts.push_back(std::move(row));
  if (operation) {
    batch.updated_by = live.details.updated_by = user;
  }
  return conflict;
}

}  // namespace tidemark::document
