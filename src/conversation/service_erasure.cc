// Erasing a user: memberships, messages and every trace of the id, step by step.
#include <algorithm>

#include "conversation/personal_store.h"
#include "conversation/service.h"

namespace tidemark::conversation {

using storage::Transaction;

namespace {

constexpr int64_t kRowsPerRead = 2000;
constexpr size_t kEntriesPerStep = 32;  // changed in one transaction
constexpr int kReactionsPerStep = 32;
constexpr int64_t kStreamsPerRead = 5000;

}  // namespace

Task<Result<bool>> Service::leave_one(UserKey user) {
  const auto found = co_await database_.read([&](Transaction& tx) -> Result<std::optional<ConversationId>> {
    return store::some_membership(tx, user);
  });
  if (!found.ok()) {
    co_return found.error();
  }
  if (!*found) {
    co_return false;
  }
  const ConversationKey key{user.tenant, **found};
  auto opened = co_await open(key);
  if (!opened.ok()) {
    co_return opened.error();
  }
  const ConversationPtr conversation = std::move(*opened);
  const Gate::Pass pass = co_await conversation->gate.enter();
  Caller caller;
  caller.tenant = user.tenant;
  caller.user = user.user;
  Leaving leaving;
  leaving.user = user.user;
  leaving.erased = true;
  const Status left = co_await drop_member(conversation, caller, leaving);
  if (!left.ok()) {
    co_return left.error();
  }
  co_return true;
}

Task<Result<EraseProgress>> Service::erase_some(UserKey user, std::string pseudonym, EraseProgress progress) {
  if (progress.creators) {
    co_return co_await erase_creators(std::move(user), std::move(pseudonym), progress);
  }
  const store::Place after{progress.stream, progress.seq};
  const auto own = co_await database_.read([&](Transaction& tx) -> Result<store::OwnEntries> {
    return store::own_entries(tx, user, after, kRowsPerRead, kEntriesPerStep);
  });
  if (!own.ok()) {
    co_return own.error();
  }
  if (!own->entries.empty()) {
    const auto erased = co_await erase_entries(user, pseudonym, *own);
    if (!erased.ok()) {
      co_return erased.error();
    }
    progress.messages += erased->messages;
    progress.entries += erased->entries;
    if (erased->again) {
      co_return progress;
    }
  }
  progress.stream = own->next.stream;
  progress.seq = own->next.seq;
  if (own->end) {
    progress.creators = true;
    progress.stream = 0;
  }
  co_return progress;
}

// The entries of one stream. Messages go as a deletion does: the others are told, and keep their numbers.
Task<Result<Service::ErasedStep>> Service::erase_entries(UserKey user, std::string pseudonym,
                                                         store::OwnEntries own) {
  const auto details = co_await database_.read([&](Transaction& tx) -> Result<std::optional<Details>> {
    return store::find_by_stream(tx, own.stream);
  });
  if (!details.ok()) {
    co_return details.error();
  }
  if (!*details) {
    co_return ErasedStep();
  }
  const ConversationKey key{user.tenant, (*details)->id};
  auto opened = co_await open(key);
  if (!opened.ok()) {
    co_return opened.error();
  }
  const ConversationPtr conversation = std::move(*opened);
  Caller nobody;
  nobody.tenant = user.tenant;
  nobody.user = UserId(pseudonym);
  auto step = co_await database_.write([&](Transaction& tx) -> Result<ErasedStep> {
    return erase_in(tx, nobody, user.user, own);
  });
  if (!step.ok()) {
    co_return step.error();
  }
  for (const Stored& stored : step->told) {
    publish(*conversation, stored, nobody, true);
  }
  co_return std::move(*step);
}

Result<Service::ErasedStep> Service::erase_in(Transaction& tx, const Caller& nobody, const UserId& user,
                                              const store::OwnEntries& own) const {
  ErasedStep step;
  const auto stream = stream::stream_by_id(tx, own.stream);
  const auto details = store::find_by_stream(tx, own.stream);
  const auto tell = [&](EntryKind kind, std::string body, int64_t target) -> Status {
    if (!details || details->deleted || !stream || target <= stream->floor) {
      return {};  // nobody sees the message
    }
    Change change;
    change.kind = kind;
    change.body = std::move(body);
    auto stored = append(tx, own.stream, nobody, change);
    if (!stored.ok()) {
      return stored.error();
    }
    step.told.push_back(std::move(*stored));
    return {};
  };
  const auto reactions = store::own_reactions(tx, own.stream, user, kReactionsPerStep);
  for (const store::OwnReaction& one : reactions) {
    store::note_reaction(tx, own.stream, one.seq, user, one.name, true);
    if (const Status told = tell(EntryKind::reaction, reaction_body(one.seq, one.name, true), one.seq); !told.ok()) {
      return told.error();
    }
  }
  if (reactions.size() == kReactionsPerStep) {
    step.again = true;
    return step;
  }
  for (const store::OwnEntry& one : own.entries) {
    const auto row = store::entry(tx, own.stream, one.seq, {});
    if (!row) {
      continue;
    }
    if (const auto body = store::renamed_body(row->entry.body, user, nobody.user.str())) {
      store::set_body(tx, own.stream, one.seq, *body);
    }
    if (one.authored && one.kind == EntryKind::message && !row->state.deleted) {
      if (const Status told = tell(EntryKind::message_deleted, target_body(one.seq), one.seq); !told.ok()) {
        return told.error();
      }
      store::note_deletion(tx, own.stream, one.seq);
      ++step.messages;
    }
    if (one.authored) {
      store::anonymise(tx, own.stream, one.seq, nobody.user.str());
    }
    ++step.entries;
  }
  return step;
}

Task<Result<EraseProgress>> Service::erase_creators(UserKey user, std::string pseudonym, EraseProgress progress) {
  struct Found {
    std::vector<ConversationId> conversations;
    bool end = false;
  };
  const int64_t until = progress.stream + kStreamsPerRead;
  const auto found = co_await database_.read([&](Transaction& tx) -> Result<Found> {
    return Found{store::created_by(tx, user, progress.stream, until),
                 static_cast<int64_t>(stream::newest_stream(tx)) <= until};
  });
  if (!found.ok()) {
    co_return found.error();
  }
  for (const ConversationId& id : found->conversations) {
    const ConversationKey key{user.tenant, id};
    auto opened = co_await open(key);
    if (!opened.ok()) {
      co_return opened.error();
    }
    const ConversationPtr conversation = std::move(*opened);
    const stream::StreamId stream = conversation->details.stream;
    const auto forgotten = co_await database_.write([&](Transaction& tx) -> Status {
      store::forget_creator(tx, stream, pseudonym);
      return {};
    });
    if (!forgotten.ok()) {
      co_return forgotten.error();
    }
    conversation->details.created_by = pseudonym;
  }
  progress.stream = until;
  progress.done = found->end;
  co_return progress;
}

}  // namespace tidemark::conversation
