// What becomes of an operation: lock and fence, repeated id, rebase, and what is stored with it. On the document's owner,
// without a pause in between.
#include <algorithm>

#include "document/service.h"

namespace tidemark::document {
namespace {

std::string extra_of(const Operation& operation, const char* name) {
  const auto found = operation.metadata.extra.find(name);
  return found == operation.metadata.extra.end() ? std::string() : found->second;
}

// More conflicts than this no operation may have: each is a record of its own.
constexpr size_t kConflictsMax = 256;
// All records of one operation together quote so much data of operations. What goes beyond is found by its version.
constexpr size_t kQuotedMax = size_t{1024} * 1024;

Operation quoted(Operation operation, size_t& left) {
  if (operation.data.size() > left) {
    operation.data = "{}";
  } else {
    left -= operation.data.size();
  }
  return operation;
}

std::string_view policy_name(engine::Policy policy) {
  switch (policy) {
    case engine::Policy::lww: return "lww";
    case engine::Policy::merge: return "merge";
    case engine::Policy::manual:
    case engine::Policy::forced: return "manual";
  }
  return "manual";
}

}  // namespace

engine::Policy Service::policy_for(const LiveDocument& live, const Operation& operation) const {
  if (const auto own = engine::policy_named(extra_of(operation, "conflict_policy"))) {
    return *own;
  }
  const auto& properties = live.details.metadata.properties;
  if (const auto set = properties.find("conflict_policy"); set != properties.end()) {
    if (const auto policy = engine::policy_named(set->second)) {
      return *policy;
    }
  }
  return engine::policy_named(options_.conflict_policy).value_or(engine::Policy::merge);
}

Service::Verdict Service::decide(LiveDocument& live, const Operation& operation, int64_t hash) {
  Verdict verdict;
  if (!operation.id.empty()) {
    if (const auto* const first = known(live, operation.user_id, operation.id)) {
      verdict.known = *first;
      return verdict;
    }
    for (const Pending& waiting : live.pending) {
      if (waiting.operation.id == operation.id && waiting.operation.user_id == operation.user_id) {
        if (waiting.hash != hash) {
          verdict.refusal = Error{Code::conflict, "this id was used before with other fields", "id", 0};
        } else {
          verdict.applied.operation = waiting.operation;
          verdict.applied.duplicate = true;
          verdict.batch = live.newest_batch() ? live.newest_batch() : settled_;
        }
        return verdict;
      }
    }
  }
  if (live.details.state == State::archived) {
    verdict.refusal = Error{Code::conflict, "the document is archived", "state", 0};
    return verdict;
  }
  if (auto refused = check_lock(live, operation.user_id, operation.session_id, operation.fence)) {
    if (refused->code == Code::locked && extra_of(operation, "on_lock") == "wait") {
      return queue_pending(live, operation, hash);
    }
    verdict.refusal = std::move(refused);
    return verdict;
  }
  if (live.next && live.next->records.size() >= options_.in_flight) {
    verdict.refusal = fail(Code::unavailable, "too many operations of this document wait for their commit");
    return verdict;
  }
  engine::Submission submission;
  submission.data = operation.data;
  return decide_content(live, operation, submission, hash);
}

Service::Verdict Service::decide_content(LiveDocument& live, Operation operation, engine::Submission submission,
                                         int64_t hash, bool keyed) {
  Verdict verdict;
  const bool assigned = operation.id.empty();
  if (assigned) {
    operation.id = new_id();
  }
  const std::string after = extra_of(operation, "after");
  submission.id = operation.id;
  submission.session = operation.session_id;
  submission.type = operation.type;
  submission.prev_version = static_cast<uint64_t>(operation.prev_version);
  submission.after = after;
  if (submission.policy == engine::Policy::forced) {
    submission.session = {};
  } else {
    submission.policy = policy_for(live, operation);
  }
  engine::Decision decision = live.content->decide(submission);
  if (decision.outcome == engine::Outcome::rejected) {
    verdict.refusal = std::move(decision.error);
    return verdict;
  }
  if (decision.conflicts.size() > kConflictsMax) {
    verdict.refusal = Error{Code::too_large, "others changed more than " + std::to_string(kConflictsMax) + " of its registers",
                            "data", 0};
    return verdict;
  }
  for (const engine::ConflictDraft& draft : decision.conflicts) {
    for (const uint64_t version : draft.versions) {
      if (!live.recent.contains(static_cast<int64_t>(version))) {
        verdict.missing.push_back(static_cast<int64_t>(version));
      }
    }
  }
  if (!verdict.missing.empty()) {
    return verdict;
  }
  const std::string client_id = assigned || !keyed ? std::string() : operation.id;
  const std::string_view policy = policy_name(submission.policy);
  verdict.applied = decision.outcome == engine::Outcome::conflict
                        ? park(live, std::move(operation), decision, client_id, hash, policy)
                        : accept(live, std::move(operation), std::move(decision), client_id, hash, policy);
  verdict.batch = live.next;
  return verdict;
}

Conflict Service::conflict_from(const LiveDocument& live, const engine::ConflictDraft& draft,
                                const Operation& operation, std::string_view policy, size_t& quota) {
  Conflict conflict;
  conflict.id = new_id();
  conflict.doc_id = live.key.id;
  Operation own = quoted(operation, quota);
  for (const uint64_t version : draft.versions) {
    const std::string& stored = live.recent.at(static_cast<int64_t>(version));
    conflict.ops.push_back(quoted(operation_in(stored).value_or(Operation()), quota));
  }
  conflict.ops.push_back(std::move(own));
  conflict.resolution = policy;
  conflict.description = draft.description;
  conflict.kind = engine::name_of(draft.kind);
  conflict.path = draft.path;
  conflict.base = draft.base;
  conflict.ours = draft.ours;
  conflict.theirs = draft.theirs;
  return conflict;
}

// The operation takes the next version. Conflicts that the policy has settled are told before and after it.
Applied Service::accept(LiveDocument& live, Operation operation, engine::Decision decision,
                        const std::string& client_id, int64_t hash, std::string_view policy) {
  Applied applied;
  operation.timestamp = clock_.unix_ms();
  operation.prev_version = static_cast<int64_t>(decision.base);
  std::vector<Conflict> conflicts;
  std::vector<int64_t> numbers;
  size_t quota = kQuotedMax;
  for (const engine::ConflictDraft& draft : decision.conflicts) {
    Operation sent = operation;
    sent.status = OperationStatus::pending;
    conflicts.push_back(conflict_from(live, draft, sent, policy, quota));
    numbers.push_back(
        add_entry(live, EntryKind::conflict_detected, operation.user_id, conflict_body(conflicts.back())).seq);
  }
  operation.status =
      decision.outcome == engine::Outcome::resolved ? OperationStatus::resolved : OperationStatus::applied;
  operation.type = std::move(decision.type);
  operation.data = std::move(decision.data);
  operation.version = live.details.version + 1;
  // Encoded once: stored and told as the body, the author's answer holds it, and it is what conflicts will quote.
  applied.body = operation_body(operation);
  stream::Entry& entry =
      add_entry(live, EntryKind::operation_applied, operation.user_id, applied.body, true, client_id, hash);
  entry.content = decision.trail;
  applied.seq = entry.seq;
  remember(live, operation.version, applied.body);
  engine::Applied step;
  step.version = static_cast<uint64_t>(operation.version);
  step.id = operation.id;
  step.session = operation.session_id;
  step.type = operation.type;
  step.data = operation.data;
  step.trail = std::move(decision.trail);
  const Status stepped = live.content->apply(step);
  TIDEMARK_CHECK(stepped.ok());  // the engine takes what it has just decided
  if (!client_id.empty()) {
    know(live, operation.user_id, client_id, {applied.seq, hash, operation.version});
  }
  for (size_t i = 0; i < conflicts.size(); ++i) {
    Conflict& conflict = conflicts[i];
    conflict.resolved_by = "system:" + std::string(policy);
    conflict.resolved_op = quoted(operation, quota);
    conflict.resolved_at = operation.timestamp;
    add_entry(live, EntryKind::conflict_resolved, operation.user_id, conflict_body(conflict));
    ConflictRow row;
    row.number = numbers[i];
    row.operation_author = operation.user_id;
    row.operation_id = operation.id;
    row.conflict = conflict;
    draft(live).conflicts.push_back(std::move(row));
  }
  draft(live).updated_by = live.details.updated_by = operation.user_id;
  if (holds(live, operation.user_id, operation.session_id)) {
    renew(live, live.details.lock_ttl_ms);
  }
  if (!conflicts.empty()) {
    applied.conflict = std::move(conflicts.front());
  }
  applied.operation = std::move(operation);
  return applied;
}

// Stored as an open conflict; the document stays as it is.
Applied Service::park(LiveDocument& live, Operation operation, const engine::Decision& decision,
                      const std::string& client_id, int64_t hash, std::string_view policy) {
  Applied applied;
  operation.timestamp = clock_.unix_ms();
  operation.status = OperationStatus::conflict;
  operation.version = 0;
  ConflictRow row;
  size_t quota = kQuotedMax;
  row.conflict = conflict_from(live, decision.conflicts.front(), operation, policy, quota);
  const stream::Entry& entry = add_entry(live, EntryKind::conflict_detected, operation.user_id,
                                         conflict_body(row.conflict), false, client_id, hash);
  row.number = applied.seq = entry.seq;
  row.open = true;
  row.parked = {decision.type, decision.data, live.details.version};
  row.operation_author = operation.user_id;
  row.operation_id = operation.id;
  if (!client_id.empty()) {
    know(live, operation.user_id, client_id, {applied.seq, hash, 0});
  }
  applied.conflict = row.conflict;
  draft(live).conflicts.push_back(std::move(row));
  applied.operation = std::move(operation);
  return applied;
}

Service::Verdict Service::queue_pending(LiveDocument& live, Operation operation, int64_t hash) {
  Verdict verdict;
  if (live.pending.size() >= options_.pending) {
    verdict.refusal = Error{Code::locked, "too many operations wait for the lock already", {}, 0};
    return verdict;
  }
  if (operation.data.size() > options_.data_bytes) {
    verdict.refusal = Error{Code::too_large, "more than " + std::to_string(options_.data_bytes) + " bytes", "data", 0};
    return verdict;
  }
  if (operation.id.empty()) {
    operation.id = new_id();
  }
  operation.timestamp = clock_.unix_ms();
  operation.status = OperationStatus::pending;
  operation.version = 0;
  if (operation.prev_version == 0) {
    operation.prev_version = live.details.version;  // what is current now is what its author saw
  }
  Pending waiting{live.next_pending++, hash, operation};
  draft(live).pending.push_back(waiting);
  live.pending.push_back(std::move(waiting));
  verdict.applied.operation = std::move(operation);
  verdict.batch = live.next;
  return verdict;
}

// At the release of the lock, before anybody else gets it: what waited runs in order. What can no longer be done is not
// lost, but parked as a conflict for somebody to decide.
void Service::run_pending(LiveDocument& live) {
  while (!live.pending.empty()) {
    Pending waiting = std::move(live.pending.front());
    live.pending.pop_front();
    draft(live).done_pending.push_back(waiting.number);
    Operation operation = waiting.operation;
    operation.fence = 0;  // the lock that it was sent under is over
    std::optional<Error> refused;
    if (live.access.of(operation.user_id) < Right::write && !operation.user_id.empty()) {
      refused = fail(Code::forbidden, "its author may no longer write");
    } else if (live.details.state == State::archived) {
      refused = fail(Code::conflict, "the document is archived");
    } else {
      engine::Submission submission;
      submission.data = operation.data;
      Verdict verdict = decide_content(live, operation, submission, waiting.hash);
      for (const int64_t version : verdict.missing) {
        live.recent.emplace(version, unknown_operation(live.key.id, version));
      }
      if (!verdict.missing.empty()) {
        verdict = decide_content(live, operation, submission, waiting.hash);
      }
      refused = std::move(verdict.refusal);
    }
    if (refused) {
      engine::Decision as_sent;
      as_sent.type = operation.type;
      as_sent.data = operation.data;
      engine::ConflictDraft& record = as_sent.conflicts.emplace_back();
      record.theirs = operation.data;
      record.description = "it waited for the lock and could not be applied: " + refused->text;
      park(live, operation, as_sent, operation.id, waiting.hash, "manual");
    }
  }
}

}  // namespace tidemark::document
