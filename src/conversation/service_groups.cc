// Groups: create, change, delete. Every change holds the gate until it is committed.
#include <algorithm>

#include "conversation/service.h"
#include "core/json.h"
#include "core/log.h"
#include "core/uuid.h"

namespace tidemark::conversation {

using command::Reply;
using storage::Transaction;

namespace {

Status need(const Conversation& conversation, const command::Caller& caller, Role role) {
  if (conversation.details.kind != Kind::group) {
    return fail(Code::forbidden, "a direct conversation has no members to manage");
  }
  if (Service::role_in(conversation, caller) < role) {
    return fail(Code::forbidden, "only an " + std::string(name_of(role)) + " of the group may do this");
  }
  return {};
}

}  // namespace

Role Service::role_in(const Conversation& conversation, const Caller& caller) {
  if (caller.user.empty()) {
    return Role::owner;
  }
  const auto found = conversation.members.find(caller.user);
  return found == conversation.members.end() ? Role::member : found->second.role;
}

Task<Result<Service::Changing>> Service::open_to_change(Caller caller, Request request, Role role) {
  auto opened = co_await open_as_member(caller, {caller.tenant, ConversationId(request.text("id"))});
  if (!opened.ok()) {
    co_return opened.error();
  }
  ConversationPtr conversation = std::move(*opened);
  Gate::Pass pass = co_await conversation->gate.enter();
  Changing changing{std::move(conversation), std::move(pass)};
  if (!may_see(*changing.conversation, caller)) {
    co_return fail(Code::not_found, "no such conversation");
  }
  if (const Status allowed = need(*changing.conversation, caller, role); !allowed.ok()) {
    co_return allowed.error();
  }
  co_return std::move(changing);
}

Service::Answer Service::create(Caller caller, Request request) {
  std::vector<UserId> others;
  for (const std::string& id : request.list("members")) {
    if (id != caller.user.str() && std::find(others.begin(), others.end(), UserId(id)) == others.end()) {
      others.emplace_back(id);
    }
  }
  if (others.size() + (caller.user.empty() ? 0 : 1) > options_->members) {
    co_return invalid_field("members", "a group has at most " + std::to_string(options_->members) + " members");
  }
  if (caller.user.empty() && others.empty()) {
    co_return Error{Code::missing_field, "a group needs a member", "members", 0};
  }
  if (request.has("conversation_id") && !caller.service) {
    co_return Error{Code::forbidden, "only a service chooses conversation ids", "conversation_id", 0};
  }
  Details details;
  details.id = ConversationId(request.has("conversation_id") ? request.text("conversation_id")
                                                            : make_uuid7(clock_, random_).str());
  details.kind = Kind::group;
  details.title = request.text("title");
  details.metadata = request.has("metadata") ? request.text("metadata") : "{}";
  details.created_by = caller.user.str();
  details.created_at = clock_.unix_ms();
  std::string member_list;
  for (const UserId& user : others) {
    member_list += user.str() + '\n';
  }
  const int64_t hash =
      request_hash({details.title, details.metadata, member_list, request.text("conversation_id")});
  struct Outcome {
    Details details;
    Members members;
    std::vector<Stored> entries;
    std::vector<device::StoredEvent> news;
    bool duplicate = false;
  };
  auto outcome = co_await database_.write([&](Transaction& tx) -> Result<Outcome> {
    Outcome result;
    if (request.has("id")) {
      if (auto earlier = store::find_client_id(tx, caller.key(), request.text("id"))) {
        if (earlier->hash != hash) {
          return Error{Code::conflict, "this id was used before with other fields", "id", 0};
        }
        result.details = std::move(earlier->details);
        result.duplicate = true;
        return result;
      }
    }
    if (store::find(tx, {caller.tenant, details.id})) {
      return Error{Code::conflict, "there is such a conversation", "conversation_id", 0};
    }
    result.details = details;
    result.details.stream =
        stream::open_stream(tx, {caller.tenant, stream::StreamKind::conversation, details.id.str()}, details.created_at)
            .id;
    store::insert(tx, caller.tenant, result.details, request.text("id"), hash);
    Member member;
    member.joined_at = details.created_at;
    if (!caller.user.empty()) {
      member.role = Role::owner;
      store::insert_member(tx, caller.tenant, result.details.stream, caller.user, member);
      result.members[caller.user] = member;
    }
    std::vector<OwnNews> news;
    for (const UserId& user : others) {
      // Without a creator who is a user, the first member owns the group.
      member.role = result.members.empty() ? Role::owner : Role::member;
      Change change;
      change.kind = EntryKind::member_added;
      change.body = member_body(user.str(), member.role);
      auto stored = append(tx, result.details.stream, caller, change);
      if (!stored.ok()) {
        return stored.error();
      }
      member.joined_seq = stored->appended.seq;
      store::insert_member(tx, caller.tenant, result.details.stream, user, member);
      result.members[user] = member;
      result.entries.push_back(std::move(*stored));
      news.push_back({user, std::string(kJoinedEvent)});
    }
    if (!caller.user.empty()) {
      news.push_back({caller.user, std::string(kJoinedEvent)});
    }
    Conversation named;
    named.key = {caller.tenant, details.id};
    auto events = append_news(tx, named, caller, news);
    if (!events.ok()) {
      return events.error();
    }
    result.news = std::move(*events);
    return result;
  });
  if (!outcome.ok()) {
    co_return outcome.error();
  }
  auto opened = co_await open({caller.tenant, outcome->details.id});
  if (!opened.ok()) {
    co_return opened.error();
  }
  const ConversationPtr conversation = std::move(*opened);
  if (!outcome->duplicate) {
    if (!conversation->exists) {
      // Somebody looked for this id before it was made.
      conversation->details = std::move(outcome->details);
      conversation->members = std::move(outcome->members);
      conversation->exists = true;
    }
    for (const Stored& stored : outcome->entries) {
      tell(*conversation, stored, caller);
    }
    for (const auto& [user, member] : conversation->members) {
      follow(conversation, user, std::max<int64_t>(member.joined_seq - 1, 0));
    }
    publish_news(outcome->news);
  }
  auto json = co_await details_json(conversation, caller);
  if (!json.ok()) {
    co_return json.error();
  }
  Reply reply;
  reply.created = !outcome->duplicate;
  JsonWriter writer(reply.data);
  writer.begin().raw("conversation", *json);
  if (outcome->duplicate) {
    writer.field("duplicate", true);
  }
  writer.end();
  co_return reply;
}

Service::Answer Service::update(Caller caller, Request request) {
  auto opened = co_await open_to_change(caller, request, Role::admin);
  if (!opened.ok()) {
    co_return opened.error();
  }
  const ConversationPtr conversation = opened->conversation;
  if (!request.has("title") && !request.has("metadata")) {
    co_return Error{Code::missing_field, "title or metadata is required", "title", 0};
  }
  const std::string title = request.has("title") ? request.text("title") : conversation->details.title;
  const std::string metadata = request.has("metadata") ? request.text("metadata") : conversation->details.metadata;
  Change change;
  change.kind = EntryKind::conversation_updated;
  change.body = updated_body(title, metadata);
  auto stored = co_await database_.write([&](Transaction& tx) -> Result<Stored> {
    store::set_details(tx, conversation->details.stream, title, metadata);
    return append(tx, conversation->details.stream, caller, change);
  });
  if (!stored.ok()) {
    co_return stored.error();
  }
  conversation->details.title = title;
  conversation->details.metadata = metadata;
  tell(*conversation, *stored, caller);
  opened->pass.release();
  auto json = co_await details_json(conversation, caller);
  if (!json.ok()) {
    co_return json.error();
  }
  Reply reply;
  JsonWriter(reply.data).begin().raw("conversation", *json).end();
  co_return reply;
}

Service::Answer Service::erase(Caller caller, Request request) {
  auto opened = co_await open_to_change(caller, request, Role::owner);
  if (!opened.ok()) {
    co_return opened.error();
  }
  const ConversationPtr conversation = opened->conversation;
  Change change;
  change.kind = EntryKind::conversation_deleted;
  auto stored = co_await database_.write([&](Transaction& tx) -> Result<Stored> {
    auto appended = append(tx, conversation->details.stream, caller, change);
    if (appended.ok()) {
      store::mark_deleted(tx, conversation->details.stream);
    }
    return appended;
  });
  if (!stored.ok()) {
    co_return stored.error();
  }
  conversation->details.deleted = true;
  tell(*conversation, *stored, caller);
  // Also whoever is told only now to follow it from before: it was among the followers and has got this entry.
  engine_.fanout().expel(conversation->ref(owner_index(conversation->key)), UserKey{caller.tenant, UserId()},
                         stored->appended.seq);
  log_info("conversation.deleted", {{"conversation", conversation->key.conversation.str()}, {"by", caller.user.str()}});
  Reply reply;
  reply.data = "{\"success\":true}";
  co_return reply;
}

}  // namespace tidemark::conversation
