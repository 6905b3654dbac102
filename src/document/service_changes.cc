// Documents: changes of name, state, metadata and whole content, and deletion.
#include "document/service.h"

namespace tidemark::document {

Task<Result<Updated>> Service::update(Caller caller, UpdateRequest request) {
  Worker& from = *Worker::current();
  auto updated = co_await update_on_owner(std::move(caller), std::move(request));
  co_await from.enter();
  co_return updated;
}

Task<Result<Updated>> Service::update_on_owner(Caller caller, UpdateRequest request) {
  if (auto wrong = check_id(request.id)) {
    co_return std::move(*wrong);
  }
  if (request.name) {
    if (auto wrong = check_name(*request.name)) {
      co_return std::move(*wrong);
    }
  }
  const auto state = request.state ? state_named(*request.state) : std::nullopt;
  if (request.state && (!state || *state == State::deleted)) {
    co_return invalid_field("state", "active or archived");
  }
  if (request.metadata) {
    if (auto wrong = check_metadata(*request.metadata)) {
      co_return std::move(*wrong);
    }
  }
  if (request.version < 0 || request.fence < 0 || request.restore_version < 0) {
    co_return invalid_field("version", "must not be negative");
  }
  if (request.restore_version > 0 && request.content) {
    co_return invalid_field("restore_version", "not together with content");
  }
  if (!request.session_id.empty() && !is_valid_id(request.session_id)) {
    co_return invalid_field("session_id", "1 to 128 bytes of UTF-8 without control characters");
  }
  const std::string user = caller.user.str();
  const std::string client_id = request.id.empty() ? std::string() : "update:" + request.id;
  const int64_t hash =
      hash_of({request.name.value_or(""), request.state.value_or(""), request.content.value_or(""),
               request.metadata ? metadata_json(*request.metadata) : "", std::to_string(request.version),
               std::to_string(request.restore_version), request.content ? "content" : ""});
  const DocumentKey key{caller.tenant, request.doc_id};
  co_await owner(key).enter();
  if (const Status session = co_await check_session(caller, request.session_id); !session.ok()) {
    co_return session.error();
  }
  for (;;) {
    LivePtr live;
    {
      // Alone: an old version may have to be read, and its restoration be decided on what is there then.
      auto opened = co_await open(caller, key, Right::write, true);
      if (!opened.ok()) {
        co_return opened.error();
      }
      live = opened->live;
      Updated updated;
      BatchPtr batch;
      if (const auto* const first = client_id.empty() ? nullptr : known(*live, user, client_id); first != nullptr) {
        if (first->hash != hash) {
          co_return Error{Code::conflict, "this id was used before with other fields", "id", 0};
        }
        batch = live->newest_batch();
      } else {
        auto decided = co_await decide_update(live, caller, request, state, client_id, hash);
        if (!decided.ok()) {
          co_return decided.error();
        }
        if (!live->loaded) {
          continue;
        }
        updated.refusal = std::move(*decided);
        batch = live->newest_batch();
      }
      opened->pass.release();
      updated.document = describe(*live, true);
      const Batch::End end = batch ? co_await batch->ended() : Batch::End::committed;
      if (end == Batch::End::committed) {
        co_return std::move(updated);
      }
      if (end == Batch::End::failed) {
        co_return fail(Code::unavailable);
      }
    }
  }
}

// The refusal, if it is refused. Under the gate.
Task<Result<std::optional<Error>>> Service::decide_update(LivePtr live, Caller caller, UpdateRequest request,
                                                          std::optional<State> state, std::string client_id,
                                                          int64_t hash) {
  using Refusal = std::optional<Error>;
  const std::string user = caller.user.str();
  const Right right = live->access.of(caller);
  if (request.metadata && request.metadata->permissions && request.metadata->permissions->owner.empty()) {
    // A document always has an owner.
    request.metadata->permissions->owner = live->details.metadata.permissions->owner;
  }
  const auto& permissions = request.metadata ? request.metadata->permissions : std::optional<Permissions>();
  const bool changes_people = permissions && *permissions != *live->details.metadata.permissions;
  if (changes_people && right < Right::own) {
    co_return fail(Code::forbidden, "only the owner changes permissions");
  }
  if (request.restore_version > 0) {
    auto old = co_await content_at(live, request.restore_version);
    if (!old.ok()) {
      Error error = old.error();
      error.field = error.field.empty() ? error.field : "restore_version";
      co_return error;
    }
    request.content = std::move(*old);
    request.version = 0;
  }
  if (!live->loaded) {
    co_return Refusal();
  }
  const bool only_people = !request.content && !request.name && !request.state && request.metadata && changes_people &&
                           without_people(*request.metadata) == without_people(live->details.metadata);
  if (!only_people) {  // the owner's changes of permissions are never blocked
    if (auto refused = check_lock(*live, user, request.session_id, request.fence)) {
      co_return Refusal(std::move(refused));
    }
  }
  const bool reactivates = state == State::active;
  if (live->details.state == State::archived && !reactivates && !only_people) {
    co_return Refusal(Error{Code::conflict, "the document is archived", "state", 0});
  }
  if (request.version > live->details.version) {
    co_return invalid_field("version", "above the newest version");
  }
  if (request.content && live->details.type != Type::text) {
    if (auto unreadable = spell_json(*request.content, "content")) {
      co_return Refusal(std::move(unreadable));
    }
  }
  if (request.content) {
    Operation operation;
    operation.doc_id = live->key.id;
    operation.user_id = user;
    operation.session_id = request.session_id;
    operation.type = "update";
    operation.prev_version = request.version;
    Verdict verdict;
    do {
      engine::Submission submission;
      submission.whole_content = *request.content;
      verdict = decide_content(*live, operation, submission, hash, false);
      if (!verdict.missing.empty()) {
        if (const Status read = co_await read_operations(live, verdict.missing); !read.ok()) {
          co_return read.error();
        }
        if (!live->loaded) {
          co_return Refusal();
        }
      }
    } while (!verdict.missing.empty());
    if (verdict.refusal) {
      co_return Refusal(std::move(verdict.refusal));
    }
  }
  change_details(*live, request, state, user);
  note_update(*live, user, client_id, hash);
  co_return Refusal();
}

Metadata Service::without_people(Metadata metadata) {
  metadata.permissions.reset();
  return metadata;
}

void Service::change_details(LiveDocument& live, const UpdateRequest& request, std::optional<State> state,
                             const std::string& user) {
  Batch& batch = draft(live);
  batch.details_changed = true;
  Details& details = live.details;
  details.name = request.name.value_or(details.name);
  details.state = state.value_or(details.state);
  details.updated_by = batch.updated_by = user;
  if (!request.metadata) {
    return;
  }
  auto people = request.metadata->permissions ? request.metadata->permissions : details.metadata.permissions;
  details.metadata = *request.metadata;
  details.metadata.permissions = std::move(people);
  live.access = Access(*details.metadata.permissions);
}

// The entry that tells of a change, and what the loss of a right brings with it.
void Service::note_update(LiveDocument& live, const std::string& user, const std::string& client_id, int64_t hash) {
  Document told = describe(live, false);
  told.seq = live.details.head + 1;
  told.active_users.clear();
  const int64_t seq =
      add_entry(live, EntryKind::document_updated, user, document_body(told), false, client_id, hash).seq;
  if (!client_id.empty()) {
    know(live, user, client_id, {seq, hash, 0});
  }
  std::set<std::string> lost;
  for (const auto& [id, subscriber] : live.subscribers) {
    const std::string& who = subscriber.user.user.str();
    if (!who.empty() && live.access.of(who) == Right::none) {
      lost.insert(who);
    }
  }
  for (const std::string& who : lost) {
    draft(live).expelled.emplace_back(who, seq);
  }
  const auto& lock = live.details.lock;
  if (lock && !lock->user_id.empty() && live.access.of(lock->user_id) < Right::write) {
    release(live, "forced", true, user);
  }
}

Task<Result<Deleted>> Service::remove(Caller caller, DeleteRequest request) {
  Worker& from = *Worker::current();
  auto removed = co_await remove_on_owner(std::move(caller), std::move(request));
  co_await from.enter();
  co_return removed;
}

Task<Result<Deleted>> Service::remove_on_owner(Caller caller, DeleteRequest request) {
  if (auto wrong = check_id(request.id)) {
    co_return std::move(*wrong);
  }
  const DocumentKey key{caller.tenant, request.doc_id};
  const std::string user = caller.user.str();
  co_await owner(key).enter();
  if (const Status session = co_await check_session(caller, request.session_id); !session.ok()) {
    co_return session.error();
  }
  for (;;) {
    LivePtr live;
    {
      auto opened = co_await open(caller, key, Right::own);
      if (!opened.ok()) {
        co_return opened.error();
      }
      live = std::move(opened->live);
    }
    Deleted deleted;
    if (auto refused = check_lock(*live, user, request.session_id, request.fence)) {
      deleted.refusal = std::move(refused);
      co_return deleted;
    }
    end_document(*live, user);
    const BatchPtr stored = live->next;
    const Batch::End end = co_await stored->ended();
    if (end == Batch::End::committed) {
      co_return deleted;
    }
    if (end == Batch::End::failed) {
      co_return fail(Code::unavailable);
    }
  }
}

void Service::end_document(LiveDocument& live, const std::string& user) {
  while (!live.waiters.empty()) {
    live.waiters.front()->leave();
  }
  for (const Pending& pending : std::exchange(live.pending, {})) {
    draft(live).done_pending.push_back(pending.number);
  }
  if (live.details.lock) {
    release(live, "document_deleted", false, user);
  }
  Batch& batch = draft(live);
  batch.details_changed = batch.cleared = true;
  live.details.state = State::deleted;
  note_update(live, user, {}, 0);
  batch.updated_by = user;
  live.exists = false;  // for whoever comes from now on
}

}  // namespace tidemark::document
