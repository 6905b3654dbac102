// The rows of the conversation room, and its door.
#include <algorithm>

#include "conversation/search_query.h"
#include "conversation/search_store.h"
#include "conversation/service.h"

namespace tidemark::conversation {
namespace {

using command::Access;
using command::Caller;
using command::Field;
using command::FieldType;
using command::Fields;
using command::Rate;
using command::Reply;
using command::Request;
using command::Where;

constexpr int64_t kTitleBytes = 256;
constexpr int64_t kMetadataBytes = 16 * 1024;
constexpr int64_t kReactionBytes = 64;
constexpr int64_t kPageMax = 200;
constexpr int64_t kSearchLimitMax = 100;

Field text(std::string_view name, int64_t max, bool required = false) {
  return {.name = name, .type = FieldType::text, .required = required, .max = max};
}
Field seq_field(std::string_view name, bool required, int64_t min = 1) {
  return {.name = name, .type = FieldType::integer, .required = required, .min = min};
}
Field conversation_field(bool required, Where where = Where::body) {
  return {.name = "conversation_id", .type = FieldType::id, .required = required, .alias = "group_id", .where = where};
}
Field path_id(std::string_view name) {
  return {.name = name, .type = FieldType::id, .required = true, .where = Where::path};
}
Field message_id_field() {
  return {.name = "message_id", .type = FieldType::text, .required = true, .max = 160, .where = Where::path};
}
Field query_integer(std::string_view name, int64_t min, int64_t max = INT64_MAX) {
  return {.name = name, .type = FieldType::integer, .max = max, .min = min, .where = Where::query};
}
const Field kClientId{.name = "id", .type = FieldType::client_id};
const Field kRequiredClientId{.name = "id", .type = FieldType::client_id, .required = true};

}  // namespace

Conversations::Conversations(WorkerPool& workers, storage::Database& database, stream::Engine& engine,
                             session::Sessions& sessions, device::Devices& devices, const Clock& clock, Random& random,
                             ConversationOptions options, MetricRegistry& metrics)
    : service_(std::make_unique<Service>(workers, database, engine, sessions, devices, clock, random, options, metrics)) {}

Conversations::~Conversations() = default;

void Conversations::set_options(const ConversationOptions& options) { service_->set_options(options); }

Task<Result<std::vector<bool>>> Conversations::share(UserKey viewer, std::vector<std::string> users) {
  return service_->share(std::move(viewer), std::move(users));
}

Task<Result<std::vector<std::string>>> Conversations::contacts(UserKey user, size_t limit) {
  return service_->contacts(std::move(user), limit);
}

void Conversations::delivered(const UserKey& user, const stream::StreamKey& key, int64_t seq) {
  service_->delivered(user, key, seq);
}

void Conversations::start() { service_->start_index(); }

Task<> Conversations::store_all() { return service_->store_all(); }

std::vector<storage::PersonalPart> Conversations::personal_parts() { return store::personal_parts(); }

Task<Result<bool>> Conversations::leave_one(UserKey user) {
  return service_->leave_one(std::move(user));
}

Task<Result<EraseProgress>> Conversations::erase_some(UserKey user, std::string pseudonym, EraseProgress progress) {
  return service_->erase_some(std::move(user), std::move(pseudonym), progress);
}

bool Conversations::tidy_index(storage::Transaction& tx, bool first) { return store::merge_index(tx, first); }

void Conversations::forget_states(storage::Transaction& tx, stream::StreamId stream, int64_t floor) {
  store::forget_states(tx, stream, floor);
}

std::vector<Followable> Conversations::followables(storage::Transaction& tx, const UserKey& user) const {
  std::vector<Followable> result;
  for (const store::Followed& one : store::followed(tx, user)) {
    Followable item;
    item.key = {user.tenant, stream::StreamKind::conversation, one.details.id.shared()};
    item.ref = {one.details.stream, service_->owner_index({user.tenant, one.details.id})};
    item.head = one.details.head;
    item.floor = one.details.floor;
    item.first = std::max<int64_t>(one.joined_seq, 1);
    item.updated_at = one.details.updated_at;
    item.deleted = one.details.deleted;
    result.push_back(std::move(item));
  }
  return result;
}

void Conversations::add_commands(command::Table& table) {
  Service* const service = service_.get();
  const auto handler = [service](Service::Answer (Service::*method)(Caller, Request)) -> command::Handler {
    return [service, method](Caller caller, Request request) {
      return (service->*method)(std::move(caller), std::move(request));
    };
  };
  const auto content_max = static_cast<int64_t>(service->options().content_bytes);
  const auto data_max = static_cast<int64_t>(service->options().data_bytes);
  const auto members_max = [service] { return static_cast<int64_t>(service->options().members); };
  const Field content = text("content", content_max, true);

  table.add({.type = "message",
             .method = "POST",
             .path = "/messages",
             .summary = "Sends a message to a user or a conversation",
             .fields = {kClientId,
                        {.name = "to", .type = FieldType::id},
                        conversation_field(false),
                        content,
                        text("content_type", 64),
                        {.name = "data", .type = FieldType::object, .max = data_max},
                        seq_field("reply_to", false)},
             .rate = Rate::durable,
             .handler = handler(&Service::send)});
  table.add({.type = "edit",
             .summary = "Changes the text of one's own message",
             .fields = {kRequiredClientId, conversation_field(true), seq_field("seq", true), content},
             .rate = Rate::durable,
             .handler = handler(&Service::edit)});
  table.add({.type = "delete",
             .summary = "Removes a message",
             .fields = {kRequiredClientId, conversation_field(true), seq_field("seq", true)},
             .rate = Rate::durable,
             .handler = handler(&Service::remove)});
  table.add({.type = "react",
             .summary = "Adds or removes a reaction",
             .fields = {kRequiredClientId,
                        conversation_field(true),
                        seq_field("seq", true),
                        text("reaction", kReactionBytes, true),
                        {.name = "remove", .type = FieldType::boolean}},
             .rate = Rate::durable,
             .handler = handler(&Service::react)});
  table.add({.type = "typing",
             .summary = "Tells the others that one is typing",
             .fields = {{.name = "to", .type = FieldType::id},
                        conversation_field(false),
                        {.name = "is_typing", .type = FieldType::boolean, .required = true, .alias = "data.is_typing"}},
             .rate = Rate::signal,
             .handler = handler(&Service::typing)});
  table.add({.type = "read",
             .summary = "Moves the user's read marker",
             .fields = {conversation_field(true), seq_field("seq", true)},
             .rate = Rate::signal,
             .handler = handler(&Service::read)});
  table.add({.type = "history",
             .summary = "Entries of a conversation",
             .fields = {kRequiredClientId,
                        conversation_field(true),
                        seq_field("before", false),
                        seq_field("after", false, 0),
                        {.name = "limit", .type = FieldType::integer, .max = kPageMax, .min = 1}},
             .handler = handler(&Service::history)});

  table.add({.method = "GET",
             .path = "/messages",
             .summary = "Messages of a conversation, in order; the newest page unless before or after is given",
             .fields = {conversation_field(true, Where::query), query_integer("before", 1), query_integer("after", 0),
                        query_integer("limit", 1, kPageMax)},
             .access = Access::scope,
             .handler = handler(&Service::history)});
  table.add({.method = "GET",
             .path = "/messages/search",
             .summary = "Full-text search in the user's conversations, newest first",
             .fields = {{.name = "q", .type = FieldType::text, .required = true, .max = kSearchBytesMax,
                         .where = Where::query, .help = "words that all have to be in the message"},
                        conversation_field(false, Where::query), query_integer("limit", 1, kSearchLimitMax),
                        {.name = "cursor", .type = FieldType::text, .max = 64, .where = Where::query}},
             .access = Access::scope,
             .rate = Rate::durable,
             .too_fast = "too many requests",
             .handler = handler(&Service::search)});
  table.add({.method = "GET",
             .path = "/messages/{message_id}",
             .summary = "One message",
             .fields = {message_id_field()},
             .access = Access::scope,
             .handler = handler(&Service::message)});
  table.add({.method = "PATCH",
             .path = "/messages/{message_id}",
             .summary = "Changes the text of one's own message",
             .fields = {message_id_field(), content, kClientId},
             .rate = Rate::durable,
             .handler = handler(&Service::edit_by_id)});
  table.add({.method = "DELETE",
             .path = "/messages/{message_id}",
             .summary = "Removes a message",
             .fields = {message_id_field(), kClientId},
             .access = Access::scope,
             .rate = Rate::durable,
             .handler = handler(&Service::remove_by_id)});

  table.add({.method = "POST",
             .path = "/conversations",
             .summary = "Creates a group",
             .fields = {kClientId,
                        text("title", kTitleBytes, true),
                        {.name = "members", .type = FieldType::id_list, .max_now = members_max},
                        {.name = "metadata", .type = FieldType::object, .max = kMetadataBytes},
                        {.name = "conversation_id", .type = FieldType::id}},
             .access = Access::scope,
             .rate = Rate::creation,
             .handler = handler(&Service::create)});
  table.add({.method = "GET",
             .path = "/conversations",
             .summary = "The user's conversations with unread counts, newest activity first",
             .fields = {{.name = "cursor", .type = FieldType::text, .max = 64, .where = Where::query},
                        query_integer("limit", 1, kPageMax)},
             .handler = handler(&Service::list)});
  table.add({.method = "GET",
             .path = "/conversations/{id}",
             .summary = "One conversation with its members",
             .fields = {path_id("id")},
             .access = Access::scope,
             .handler = handler(&Service::conversation)});
  table.add({.method = "PATCH",
             .path = "/conversations/{id}",
             .summary = "Changes title and metadata of a group",
             .fields = {path_id("id"), text("title", kTitleBytes),
                        {.name = "metadata", .type = FieldType::object, .max = kMetadataBytes}},
             .access = Access::scope,
             .rate = Rate::durable,
             .handler = handler(&Service::update)});
  table.add({.method = "DELETE",
             .path = "/conversations/{id}",
             .summary = "Deletes a group",
             .fields = {path_id("id")},
             .access = Access::scope,
             .rate = Rate::durable,
             .handler = handler(&Service::erase)});
  table.add({.method = "POST",
             .path = "/conversations/{id}/members",
             .summary = "Adds a member",
             .fields = {path_id("id"), {.name = "user_id", .type = FieldType::id, .required = true}, text("role", 16)},
             .access = Access::scope,
             .rate = Rate::durable,
             .handler = handler(&Service::add_member)});
  table.add({.method = "DELETE",
             .path = "/conversations/{id}/members/{user_id}",
             .summary = "Removes a member, or leaves",
             .fields = {path_id("id"), path_id("user_id")},
             .access = Access::scope,
             .rate = Rate::durable,
             .handler = handler(&Service::remove_member)});
  table.add({.method = "PATCH",
             .path = "/conversations/{id}/members/{user_id}",
             .summary = "Sets a member's role",
             .fields = {path_id("id"), path_id("user_id"), text("role", 16, true)},
             .access = Access::scope,
             .rate = Rate::durable,
             .handler = handler(&Service::set_role)});
  table.add({.method = "POST",
             .path = "/conversations/{id}/read",
             .summary = "Moves the user's read marker",
             .fields = {path_id("id"), seq_field("seq", true)},
             .rate = Rate::signal,
             .handler = handler(&Service::read)});
}

}  // namespace tidemark::conversation
