// Messages: send, edit, delete, react.
#include <algorithm>

#include "conversation/service.h"
#include "core/json.h"
#include "core/seeded_fault.h"

namespace tidemark::conversation {

using command::Reply;
using storage::Transaction;

namespace {

constexpr int64_t kReactionNamesMax = 50;  // different reactions on one message

ConversationKey key_of(const command::Caller& caller, const std::string& conversation) {
  return {caller.tenant, ConversationId(conversation)};
}

// A message id that is malformed, of somebody else or of nothing gets one answer.
Result<Reply> named_by_message(Result<Reply> reply) {
  if (!reply.ok() && reply.error().code == Code::not_found) {
    return fail(Code::not_found, "no such message");
  }
  return reply;
}

}  // namespace

Service::Answer Service::send(Caller caller, Request request) {
  if (request.has("to") == request.has("conversation_id")) {
    co_return request.has("to") ? invalid_field("to", "give either to or conversation_id")
                                : Error{Code::missing_field, "to or conversation_id is required", "conversation_id", 0};
  }
  const UserId to(request.text("to"));
  const ConversationKey key = request.has("to") ? ConversationKey{caller.tenant, direct_id(caller.key(), to)}
                                                : key_of(caller, request.text("conversation_id"));
  const std::string content_type = request.has("content_type") ? request.text("content_type") : "text";
  const int64_t reply_to = request.integer("reply_to");
  Change change;
  change.kind = EntryKind::message;
  change.content = request.text("content");
  change.body = message_body(content_type, request.text("data"), reply_to);
  change.client_id = request.text("id");
  change.hash = request_hash({change.content, change.body});

  auto opened = co_await open_to_send(key);
  if (!opened.ok()) {
    co_return opened.error();
  }
  const ConversationPtr conversation = opened->conversation;
  // A direct conversation without one of its two: that user was erased, and is somebody new.
  const bool incomplete = !to.empty() && (!conversation->exists || conversation->member(to) == nullptr ||
                                          conversation->member(caller.user) == nullptr);
  if (incomplete) {
    if (reply_to > 0) {
      co_return invalid_field("reply_to", "there is no such entry");
    }
    if (caller.rates) {
      if (const Status taken = caller.rates->take(command::Rate::creation, clock_.now()); !taken.ok()) {
        co_return taken.error();
      }
    }
    auto stored = co_await send_first(conversation, caller, to, change);
    if (!stored.ok()) {
      co_return stored.error();
    }
    Reply reply = sent(*conversation, *stored, stored->entry.seq);
    JsonWriter(reply.data).begin().raw("message", entry_json(conversation->details.id, stored->entry, {})).end();
    co_return reply;
  }
  if (!may_see(*conversation, caller)) {
    co_return fail(Code::not_found, "no such conversation");
  }
  const Instant start = clock_.now();
  struct Outcome {
    Stored stored;
    std::optional<store::Row> first;  // of a retry over REST: the message as it is now
  };
  auto outcome = co_await database_.write([&](Transaction& tx) -> Result<Outcome> {
    auto stored = append(tx, conversation->details.stream, caller, change, true);
    if (!stored.ok()) {
      return stored.error();
    }
    if (reply_to >= stored->appended.seq) {
      return invalid_field("reply_to", "there is no such entry");
    }
    if (TIDEMARK_FAULT(fan_out_before_commit)) {
      owner(conversation->key).post([this, conversation, told = *stored, caller] { publish(*conversation, told, caller); });
      return fail(Code::unavailable);
    }
    Outcome result{std::move(*stored), {}};
    if (result.stored.appended.duplicate && caller.door != command::Door::websocket) {
      result.first = store::entry(tx, conversation->details.stream, result.stored.appended.seq, caller.user.str());
    }
    return result;
  });
  if (!outcome.ok()) {
    co_return outcome.error();
  }
  append_seconds_.observe(std::chrono::duration<double>(clock_.now() - start).count());
  const Stored& stored = outcome->stored;
  if (!stored.appended.duplicate) {
    publish(*conversation, stored, caller);
  }
  Reply reply = sent(*conversation, stored, stored.appended.seq);
  if (caller.door != command::Door::websocket) {
    JsonWriter writer(reply.data);
    writer.begin().raw("message", outcome->first
                                      ? entry_json(conversation->details.id, outcome->first->entry, outcome->first->state)
                                      : entry_json(conversation->details.id, stored.entry, {}));
    if (stored.appended.duplicate) {
      writer.field("duplicate", true);
    }
    writer.end();
  }
  co_return reply;
}

// Makes the direct conversation together with its first message, or completes it, under the gate: of two first messages
// one makes it.
Task<Result<Service::Stored>> Service::send_first(ConversationPtr conversation, Caller caller, UserId to,
                                                  Change change) {
  std::optional<Gate::Pass> pass;
  if (conversation->exists) {  // else the caller has kept it
    Gate::Pass entered = co_await conversation->gate.enter();
    pass.emplace(std::move(entered));
  }
  const int64_t now = clock_.unix_ms();
  struct Outcome {
    Stored stored;
    Details details;
    Members members;
    std::vector<UserId> joined;
  };
  auto outcome = co_await database_.write([&](Transaction& tx) -> Result<Outcome> {
    Outcome result;
    Member member;
    member.joined_at = now;
    if (auto found = store::find(tx, conversation->key)) {
      result.details = std::move(*found);
      member.joined_seq = result.details.head + 1;  // what the one before them wrote and got is not theirs
    } else {
      const stream::StreamKey key{conversation->key.tenant, stream::StreamKind::conversation,
                                  conversation->key.conversation.str()};
      result.details.stream = stream::open_stream(tx, key, now).id;
      result.details.id = conversation->key.conversation;
      result.details.kind = Kind::direct;
      result.details.created_by = caller.user.str();
      result.details.created_at = now;
      store::insert(tx, caller.tenant, result.details, {}, 0);
    }
    for (const UserId& user : {caller.user, to}) {
      if (!store::member(tx, result.details.stream, user)) {
        store::insert_member(tx, caller.tenant, result.details.stream, user, member);
        result.joined.push_back(user);
      }
    }
    result.members = store::members(tx, result.details.stream);
    auto stored = append(tx, result.details.stream, caller, change, true);
    if (!stored.ok()) {
      return stored.error();
    }
    result.stored = std::move(*stored);
    return result;
  });
  if (!outcome.ok()) {
    co_return outcome.error();
  }
  if (!conversation->exists) {
    conversation->details = std::move(outcome->details);
    conversation->members = std::move(outcome->members);
    conversation->exists = true;
  }
  for (const UserId& user : outcome->joined) {
    conversation->members.insert({user, outcome->members[user]});
  }
  if (!outcome->stored.appended.duplicate) {
    publish(*conversation, outcome->stored, caller);
  }
  // The connection that sends follows at once, before its answer, so that its own messages do not come back to it.
  if (!outcome->joined.empty() && outcome->joined.front() == caller.user && caller.connection != 0) {
    session::Connection own;
    own.id = caller.connection;
    own.worker = caller.worker;
    sessions_.door().follow(own, follow_request(*conversation, outcome->stored.appended.seq));
  }
  for (const UserId& user : outcome->joined) {
    follow(conversation, user, std::max<int64_t>(conversation->members[user].joined_seq - 1, 0), caller.connection);
  }
  co_return std::move(outcome->stored);
}

Service::Answer Service::change_message(Caller caller, ConversationKey key, int64_t target_seq, Change change,
                                        MakeCheck make_check, Apply apply) {
  auto opened = co_await open_as_member(caller, std::move(key));
  if (!opened.ok()) {
    co_return opened.error();
  }
  const ConversationPtr conversation = std::move(*opened);
  const Check check = make_check(*conversation);
  const stream::StreamId stream = conversation->details.stream;
  auto stored = co_await database_.write([&](Transaction& tx) -> Result<Stored> {
    // A retry is answered before the target is looked at: its first try may have changed what would be checked.
    stream::NewEntry probe;
    probe.author = caller.user.str();
    probe.client_id = change.client_id;
    probe.hash = change.hash;
    auto earlier = stream::find_duplicate(tx, stream, probe);
    if (!earlier.ok()) {
      return earlier.error();
    }
    if (*earlier) {
      Stored duplicate;
      duplicate.stream = stream;
      duplicate.appended = **earlier;
      return duplicate;
    }
    const auto target = store::entry(tx, stream, target_seq, caller.user.str());
    if (!target || static_cast<EntryKind>(target->entry.kind) != EntryKind::message) {
      return fail(Code::not_found, "no such message");
    }
    if (const Status allowed = check(*target); !allowed.ok()) {
      return allowed.error();
    }
    auto appended = append(tx, stream, caller, change);
    if (appended.ok()) {
      apply(tx, *appended);
    }
    return appended;
  });
  if (!stored.ok()) {
    co_return stored.error();
  }
  if (!stored->appended.duplicate) {
    publish(*conversation, *stored, caller, true);
  }
  Reply reply = sent(*conversation, *stored, target_seq);
  reply.created = false;
  co_return reply;
}

// The changed message for REST, as it is now.
Service::Answer Service::with_message(Caller caller, ConversationKey key, int64_t seq, Answer change) {
  auto reply = co_await std::move(change);
  if (!reply.ok() || caller.door == command::Door::websocket) {
    co_return reply;
  }
  co_return co_await read_message(std::move(caller), std::move(key), seq);
}

Service::Answer Service::edit_message(Caller caller, ConversationKey key, int64_t seq, std::string content,
                                      std::string client_id) {
  Change change;
  change.kind = EntryKind::message_edited;
  change.content = content;
  change.body = target_body(seq);
  change.client_id = std::move(client_id);
  change.hash = request_hash({"edit", change.content, change.body});
  const std::string user = caller.user.str();
  MakeCheck check = [user](Conversation&) -> Check {
    return [user](const store::Row& target) -> Status {
      if (target.state.deleted) {
        return fail(Code::gone, "the message was deleted");
      }
      return target.entry.author == user ? Status() : Status(fail(Code::forbidden, "only its author edits a message"));
    };
  };
  Apply apply = [seq, content](Transaction& tx, const Stored& stored) {
    store::note_edit(tx, stored.stream, seq, content, stored.appended.time_ms);
  };
  return change_message(std::move(caller), std::move(key), seq, std::move(change), std::move(check), std::move(apply));
}

Service::Answer Service::delete_message(Caller caller, ConversationKey key, int64_t seq, std::string client_id) {
  Change change;
  change.kind = EntryKind::message_deleted;
  change.body = target_body(seq);
  change.client_id = std::move(client_id);
  change.hash = request_hash({"delete", change.body});
  const UserId user = caller.user;
  MakeCheck check = [user](Conversation& conversation) -> Check {
    const Member* const member = conversation.member(user);
    const bool moderates = user.empty() || (conversation.details.kind == Kind::group && member != nullptr &&
                                            member->role != Role::member);
    return [user, moderates](const store::Row& target) -> Status {
      if (target.state.deleted) {
        return fail(Code::gone, "the message was deleted");
      }
      return moderates || target.entry.author == user.str()
                 ? Status()
                 : Status(fail(Code::forbidden, "only its author or an admin deletes a message"));
    };
  };
  Apply apply = [seq](Transaction& tx, const Stored& stored) { store::note_deletion(tx, stored.stream, seq); };
  return change_message(std::move(caller), std::move(key), seq, std::move(change), std::move(check), std::move(apply));
}

Service::Answer Service::edit(Caller caller, Request request) {
  ConversationKey key = key_of(caller, request.text("conversation_id"));
  return edit_message(std::move(caller), std::move(key), request.integer("seq"), request.text("content"),
                      request.text("id"));
}

Service::Answer Service::remove(Caller caller, Request request) {
  ConversationKey key = key_of(caller, request.text("conversation_id"));
  return delete_message(std::move(caller), std::move(key), request.integer("seq"), request.text("id"));
}

Service::Answer Service::edit_by_id(Caller caller, Request request) {
  const auto ref = parse_message_id(request.text("message_id"));
  if (!ref) {
    co_return fail(Code::not_found, "no such message");
  }
  const ConversationKey key{caller.tenant, ref->conversation};
  auto reply = co_await with_message(
      caller, key, ref->seq, edit_message(caller, key, ref->seq, request.text("content"), request.text("id")));
  co_return named_by_message(std::move(reply));
}

Service::Answer Service::remove_by_id(Caller caller, Request request) {
  const auto ref = parse_message_id(request.text("message_id"));
  if (!ref) {
    co_return fail(Code::not_found, "no such message");
  }
  const ConversationKey key{caller.tenant, ref->conversation};
  auto reply =
      co_await with_message(caller, key, ref->seq, delete_message(caller, key, ref->seq, request.text("id")));
  co_return named_by_message(std::move(reply));
}

Service::Answer Service::react(Caller caller, Request request) {
  const int64_t seq = request.integer("seq");
  const std::string& reaction = request.text("reaction");
  const bool removed = request.boolean("remove");
  Change change;
  change.kind = EntryKind::reaction;
  change.body = reaction_body(seq, reaction, removed);
  change.client_id = request.text("id");
  change.hash = request_hash({"react", change.body});
  const UserId user = caller.user;
  ConversationKey key = key_of(caller, request.text("conversation_id"));
  MakeCheck check = [reaction, removed](Conversation&) -> Check {
    return [reaction, removed](const store::Row& target) -> Status {
      if (target.state.deleted) {
        return fail(Code::gone, "the message was deleted");
      }
      const bool known = std::any_of(target.state.reactions.begin(), target.state.reactions.end(),
                                     [&](const auto& one) { return one.name == reaction; });
      if (!removed && !known && static_cast<int64_t>(target.state.reactions.size()) >= kReactionNamesMax) {
        return fail(Code::too_large, "a message has at most 50 different reactions");
      }
      return {};
    };
  };
  Apply apply = [seq, user, reaction, removed](Transaction& tx, const Stored& stored) {
    store::note_reaction(tx, stored.stream, seq, user, reaction, removed);
  };
  return change_message(std::move(caller), std::move(key), seq, std::move(change), std::move(check), std::move(apply));
}

}  // namespace tidemark::conversation
