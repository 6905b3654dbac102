// Erasing a user: what is open ends, documents change hands or go, and the id leaves everything that remains, step by step.
#include <algorithm>

#include "document/service.h"

namespace tidemark::document {
namespace {

using storage::Transaction;

command::Caller nobody_of(const TenantId& tenant) {
  command::Caller nobody;
  nobody.service = true;
  nobody.tenant = tenant;
  return nobody;
}

}  // namespace

Task<Result<EraseProgress>> Service::erase_some(UserKey user, std::string pseudonym, EraseProgress progress) {
  Worker& from = *Worker::current();
  if (!std::exchange(progress.begun, true)) {
    co_await end_presence(user);
  }
  if (progress.stream == 0) {
    auto more = co_await release_one(user);
    if (more.ok() && !*more) {
      more = co_await leave_one(user, pseudonym, &progress);
    }
    co_await from.enter();
    if (!more.ok()) {
      co_return more.error();
    }
    if (*more) {
      co_return progress;
    }
  }
  auto erased = co_await erase_traces(std::move(user), std::move(pseudonym), progress);
  co_await from.enter();
  co_return erased;
}

// Places in queues, and subscriptions: of WebSockets these have ended with their connections, of gRPC maybe not.
Task<> Service::end_presence(UserKey user) {
  for (const auto& shard : shards_) {
    co_await shard->worker.enter();
    std::vector<LivePtr> documents;
    for (const auto& [key, live] : shard->documents) {
      if (key.tenant == user.tenant) {
        documents.push_back(live);
      }
    }
    for (const LivePtr& live : documents) {
      for (auto it = live->waiters.begin(); it != live->waiters.end();) {
        LockWaiter* const waiter = *it++;
        if (waiter->user == user.user) {
          waiter->leave();
        }
      }
      end_subscriptions(*live, user.user.str(), fail(Code::forbidden, "the user was erased"));
    }
  }
}

// A lock of a session that nobody ends: of a name of the client's own.
Task<Result<bool>> Service::release_one(UserKey user) {
  const auto found = co_await database_.read([&](Transaction& tx) -> Result<std::optional<std::string>> {
    return store::some_locked_by(tx, user);
  });
  if (!found.ok()) {
    co_return found.error();
  }
  if (!*found) {
    co_return false;
  }
  LivePtr live;
  {
    auto opened = co_await open(nobody_of(user.tenant), DocumentKey(user.tenant, **found), Right::read);
    if (!opened.ok()) {
      co_return opened.error();
    }
    live = std::move(opened->live);
  }
  const auto& lock = live->details.lock;
  if (lock && lock->user_id == user.user.str()) {
    release(*live, "session_closed", false, user.user.str());
  }
  const BatchPtr batch = live->newest_batch();
  if (batch && co_await batch->ended() == Batch::End::failed) {
    co_return fail(Code::unavailable);
  }
  co_return true;
}

Task<Result<bool>> Service::leave_one(UserKey user, std::string pseudonym, EraseProgress* progress) {
  const auto found = co_await database_.read([&](Transaction& tx) -> Result<std::optional<std::string>> {
    return store::some_document_of(tx, user);
  });
  if (!found.ok()) {
    co_return found.error();
  }
  if (!*found) {
    co_return false;
  }
  LivePtr live;
  bool deleted = false;
  {
    auto opened = co_await open(nobody_of(user.tenant), DocumentKey(user.tenant, **found), Right::read, true);
    if (!opened.ok() && opened.error().code != Code::not_found) {
      co_return opened.error();
    }
    if (!opened.ok()) {
      co_return true;  // somebody has deleted it meanwhile
    }
    live = std::move(opened->live);
    deleted = leave(*live, user.user.str(), pseudonym);
  }
  const Batch::End end = co_await live->newest_batch()->ended();
  if (end == Batch::End::failed) {
    co_return fail(Code::unavailable);
  }
  if (end == Batch::End::committed) {
    (deleted ? progress->deleted : progress->left) += 1;
  }
  co_return true;
}

// True: it is deleted. As with the owner of a group, the others do not lose their work: its first editor becomes the owner.
bool Service::leave(LiveDocument& live, const std::string& user, const std::string& pseudonym) {
  Permissions people = *live.details.metadata.permissions;
  std::erase(people.editors, user);
  std::erase(people.viewers, user);
  if (people.owner == user) {
    if (people.editors.empty()) {
      end_document(live, pseudonym);
      return true;
    }
    people.owner = people.editors.front();
    people.editors.erase(people.editors.begin());
  }
  Batch& batch = draft(live);
  batch.details_changed = true;
  live.details.metadata.permissions = people;
  live.details.updated_by = batch.updated_by = pseudonym;
  live.access = Access(people);
  note_update(live, pseudonym, {}, 0);
  return false;
}

Task<Result<EraseProgress>> Service::erase_traces(UserKey user, std::string pseudonym, EraseProgress progress) {
  // A document that is not done is found once more.
  const int64_t after = progress.inside ? progress.stream - 1 : progress.stream;
  const auto mentions = co_await database_.read(
      [&](Transaction& tx) -> Result<store::Mentions> { return store::find_mention(tx, user, after); });
  if (!mentions.ok()) {
    co_return mentions.error();
  }
  store::Erased so_far;
  if (progress.inside && mentions->next == progress.stream) {
    so_far.seq = progress.seq;
    so_far.conflict = progress.conflict;
  }
  progress.stream = mentions->next;
  progress.inside = mentions->found.has_value();
  progress.done = mentions->end;
  if (!mentions->found) {
    co_return progress;
  }
  const auto erased = co_await erase_from_document(user, pseudonym, *mentions->found, so_far);
  if (!erased.ok()) {
    co_return erased.error();
  }
  progress.inside = !erased->done;
  progress.entries += erased->changed;
  progress.seq = erased->seq;
  progress.conflict = erased->conflict;
  co_return progress;
}

// Nobody decides meanwhile: what is in memory names the user as well, and would be stored anew.
Task<Result<store::Erased>> Service::erase_from_document(UserKey user, std::string pseudonym, store::Mention document,
                                                         store::Erased so_far) {
  const auto erase = [&](Transaction& tx) -> Result<store::Erased> {
    return store::erase_from(tx, document, user, pseudonym, so_far);
  };
  so_far.changed = 0;
  if (document.deleted) {
    co_return co_await database_.write(erase);
  }
  auto opened = co_await open(nobody_of(user.tenant), DocumentKey(user.tenant, document.id), Right::read, true);
  if (!opened.ok() && opened.error().code != Code::not_found) {
    co_return opened.error();
  }
  if (!opened.ok()) {
    co_return so_far;  // deleted meanwhile: the next step finds it so
  }
  const LivePtr live = opened->live;
  // Timers decide without the gate.
  while (const BatchPtr batch = live->newest_batch()) {
    co_await batch->ended();
  }
  if (!live->loaded) {
    co_return so_far;
  }
  auto erased = co_await database_.write(erase);
  if (erased.ok() && erased->done) {
    forget_user(*live, user.user.str(), pseudonym);
    erased->done = !live->newest_batch();  // what came meanwhile is looked at as well
  }
  co_return erased;
}

void Service::forget_user(LiveDocument& live, const std::string& user, const std::string& pseudonym) {
  const auto forget = [&](std::string& value) { value = value == user ? pseudonym : value; };
  forget(live.details.created_by);
  forget(live.details.updated_by);
  rename_user(*live.details.metadata.permissions, user, pseudonym);
  for (auto& [version, body] : live.recent) {
    if (auto operation = operation_in(body)) {
      rename_user(*operation, user, pseudonym);
      body = operation_body(*operation);
    }
  }
  std::erase_if(live.pending, [&](const Pending& waiting) { return waiting.operation.user_id == user; });
  const auto is_theirs = [prefix = user + '\0'](const std::string& name) { return name.starts_with(prefix); };
  std::erase_if(live.known, [&](const auto& one) { return is_theirs(one.first); });
  std::erase_if(live.found_again, [&](const auto& one) { return is_theirs(one.first); });
  std::erase_if(live.known_order, is_theirs);
}

}  // namespace tidemark::document
