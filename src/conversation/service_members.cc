// Members of a group and their roles. Every change holds the gate until it is committed.
#include "conversation/service.h"
#include "core/json.h"
#include "core/log.h"

namespace tidemark::conversation {

using command::Reply;
using storage::Transaction;

namespace {

constexpr std::string_view kLeft = "conversation.left";

// Who becomes owner when the last one goes: the oldest admin, else the oldest member.
const UserId* successor(const Members& members, const UserId& leaving) {
  const std::pair<const UserId, Member>* best = nullptr;
  for (const auto& one : members) {
    if (one.first == leaving) {
      continue;
    }
    if (one.second.role == Role::owner) {
      return nullptr;
    }
    const auto rank = [](const Member& member) {
      return std::tuple(-static_cast<int>(member.role), member.joined_at, member.joined_seq);
    };
    if (best == nullptr || rank(one.second) < rank(best->second)) {
      best = &one;
    }
  }
  return best == nullptr ? nullptr : &best->first;
}

}  // namespace

Service::Answer Service::add_member(Caller caller, Request request) {
  const UserId user(request.text("user_id"));
  const auto role = role_named(request.has("role") ? request.text("role") : "member");
  if (!role) {
    co_return invalid_field("role", "must be member, admin or owner");
  }
  const Role needed = *role == Role::member ? Role::admin : Role::owner;
  auto opened = co_await open_to_change(caller, request, needed);
  if (!opened.ok()) {
    co_return opened.error();
  }
  const ConversationPtr conversation = opened->conversation;
  if (conversation->member(user) != nullptr) {
    co_return Error{Code::conflict, "already a member", "user_id", 0};
  }
  if (conversation->members.size() >= options_->members) {
    co_return fail(Code::too_large, "a group has at most " + std::to_string(options_->members) + " members");
  }
  Change change;
  change.kind = EntryKind::member_added;
  change.body = member_body(user.str(), *role);
  Member member;
  member.role = *role;
  member.joined_at = clock_.unix_ms();
  struct Outcome {
    Stored stored;
    std::vector<device::StoredEvent> news;
  };
  auto outcome = co_await database_.write([&](Transaction& tx) -> Result<Outcome> {
    auto stored = append(tx, conversation->details.stream, caller, change);
    if (!stored.ok()) {
      return stored.error();
    }
    Member row = member;
    row.joined_seq = stored->appended.seq;
    store::insert_member(tx, caller.tenant, conversation->details.stream, user, row);
    auto news = append_news(tx, *conversation, caller, {{user, std::string(kJoinedEvent)}});
    if (!news.ok()) {
      return news.error();
    }
    return Outcome{std::move(*stored), std::move(*news)};
  });
  if (!outcome.ok()) {
    co_return outcome.error();
  }
  member.joined_seq = outcome->stored.appended.seq;
  conversation->members[user] = member;
  tell(*conversation, outcome->stored, caller);
  follow(conversation, user, member.joined_seq - 1);
  publish_news(outcome->news);
  Reply reply;
  reply.created = true;
  JsonWriter(reply.data).begin().raw("member", "{" + change.body + "}").field("seq", member.joined_seq).end();
  co_return reply;
}

Service::Answer Service::remove_member(Caller caller, Request request) {
  const UserId user(request.text("user_id"));
  const bool leaves = user == caller.user;
  auto opened = co_await open_to_change(caller, request, leaves ? Role::member : Role::admin);
  if (!opened.ok()) {
    co_return opened.error();
  }
  const ConversationPtr conversation = opened->conversation;
  const Member* const target = conversation->member(user);
  if (target == nullptr) {
    co_return Error{Code::not_a_member, "this user is not a member", "user_id", 0};
  }
  if (!leaves && target->role != Role::member && role_in(*conversation, caller) < Role::owner) {
    co_return fail(Code::forbidden, "only an owner removes admins and owners");
  }
  Leaving leaving;
  leaving.user = user;
  const Status left = co_await drop_member(conversation, caller, leaving);
  if (!left.ok()) {
    co_return left.error();
  }
  Reply reply;
  reply.data = "{\"success\":true}";
  co_return reply;
}

// With the gate held. An erased user leaves no entry in a direct conversation, which waits for either of the two, and
// none where nobody would read it.
Task<Status> Service::drop_member(ConversationPtr conversation, Caller caller, Leaving leaving) {
  const UserId& user = leaving.user;
  const Member* const target = conversation->member(user);
  const Role role = target == nullptr ? Role::member : target->role;
  const bool told = target != nullptr && !conversation->details.deleted && conversation->details.kind == Kind::group;
  const UserId* const heir = told && role == Role::owner ? successor(conversation->members, user) : nullptr;
  const std::optional<UserId> next_owner = heir == nullptr ? std::nullopt : std::optional(*heir);
  const bool last = told && conversation->members.size() == 1;
  struct Outcome {
    std::vector<Stored> entries;
    std::vector<device::StoredEvent> news;
    int64_t removal_seq = 0;  // snapshots below it are from before
  };
  auto outcome = co_await database_.write([&](Transaction& tx) -> Result<Outcome> {
    Outcome result;
    const auto add = [&](EntryKind kind, std::string body) -> Status {
      Change change;
      change.kind = kind;
      change.body = std::move(body);
      auto stored = append(tx, conversation->details.stream, caller, change);
      if (!stored.ok()) {
        return stored.error();
      }
      result.entries.push_back(std::move(*stored));
      return {};
    };
    Status added = told ? add(EntryKind::member_removed, member_body(user.str(), role)) : Status();
    store::delete_member(tx, conversation->details.stream, user);
    if (added.ok() && next_owner) {
      added = add(EntryKind::member_role, member_body(next_owner->str(), Role::owner));
      store::set_role(tx, conversation->details.stream, *next_owner, Role::owner);
    }
    if (!added.ok()) {
      return added.error();
    }
    if (last) {
      store::mark_deleted(tx, conversation->details.stream);
    }
    if (!leaving.erased) {
      auto news = append_news(tx, *conversation, caller, {{user, std::string(kLeft)}});
      if (!news.ok()) {
        return news.error();
      }
      result.news = std::move(*news);
    }
    if (!result.entries.empty()) {
      result.removal_seq = result.entries.front().appended.seq;
    } else if (const auto row = stream::stream_by_id(tx, conversation->details.stream)) {
      result.removal_seq = row->head + 1;
    }
    return result;
  });
  if (!outcome.ok()) {
    co_return outcome.error();
  }
  conversation->members.erase(user);
  if (next_owner) {
    conversation->members[*next_owner].role = Role::owner;
  }
  conversation->details.deleted = conversation->details.deleted || last;
  // Before the entry goes out: who is removed gets nothing more, not even this.
  unfollow(conversation, user, outcome->removal_seq);
  for (const Stored& stored : outcome->entries) {
    tell(*conversation, stored, caller);
  }
  publish_news(outcome->news);
  co_return Status();
}

Service::Answer Service::set_role(Caller caller, Request request) {
  const UserId user(request.text("user_id"));
  const auto role = role_named(request.text("role"));
  if (!role) {
    co_return invalid_field("role", "must be member, admin or owner");
  }
  auto opened = co_await open_to_change(caller, request, Role::owner);
  if (!opened.ok()) {
    co_return opened.error();
  }
  const ConversationPtr conversation = opened->conversation;
  Member* const target = conversation->member(user);
  if (target == nullptr) {
    co_return Error{Code::not_a_member, "this user is not a member", "user_id", 0};
  }
  const auto owners = std::count_if(conversation->members.begin(), conversation->members.end(),
                                    [](const auto& one) { return one.second.role == Role::owner; });
  if (target->role == Role::owner && *role != Role::owner && owners == 1) {
    co_return Error{Code::conflict, "a group keeps an owner: make somebody else owner first", "role", 0};
  }
  Change change;
  change.kind = EntryKind::member_role;
  change.body = member_body(user.str(), *role);
  auto stored = co_await database_.write([&](Transaction& tx) -> Result<Stored> {
    store::set_role(tx, conversation->details.stream, user, *role);
    return append(tx, conversation->details.stream, caller, change);
  });
  if (!stored.ok()) {
    co_return stored.error();
  }
  target->role = *role;
  tell(*conversation, *stored, caller);
  Reply reply;
  JsonWriter(reply.data).begin().raw("member", "{" + change.body + "}").field("seq", stored->appended.seq).end();
  co_return reply;
}

}  // namespace tidemark::conversation
