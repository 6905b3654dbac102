#include "session/session_commands.h"

#include "core/json.h"

namespace tidemark::session {
namespace {

using command::Access;
using command::Caller;
using command::Field;
using command::FieldType;
using command::Reply;
using command::Request;
using command::Where;

constexpr auto kMetadataBytes = static_cast<int64_t>(Sessions::kMetadataBytes);

const Field kSessionId{.name = "id", .type = FieldType::text, .required = true, .max = 128, .where = Where::path,
                       .help = "session id"};

Reply reply_with(std::string data, bool created = false) {
  Reply reply;
  reply.data = std::move(data);
  reply.created = created;
  return reply;
}

std::string wrapped(std::string_view name, std::string_view json) {
  std::string data;
  JsonWriter(data).begin().raw(name, json).end();
  return data;
}

}  // namespace

void Sessions::add_commands(command::Table& table) {
  SessionCommands(*this).add_to(table);
}

void SessionCommands::add_to(command::Table& table) {
  auto self = std::make_shared<SessionCommands>(*this);
  const auto handler = [self](Answer (SessionCommands::*method)(Caller, Request)) -> command::Handler {
    return [self, method](Caller caller, Request request) {
      return ((*self).*method)(std::move(caller), std::move(request));
    };
  };
  table.add({.method = "POST",
             .path = "/sessions",
             .summary = "Creates a session and a token that opens connections with it",
             .fields = {{.name = "device_id", .type = FieldType::id},
                        {.name = "metadata", .type = FieldType::text_map, .max = kMetadataBytes},
                        {.name = "timeout_seconds", .type = FieldType::integer, .max = Sessions::kTimeoutSecondsMax, .min = 1},
                        {.name = "id", .type = FieldType::client_id}},
             .rate = command::Rate::creation,
             .handler = handler(&SessionCommands::create)});
  table.add({.method = "GET",
             .path = "/sessions",
             .summary = "The caller's sessions, newest first",
             .fields = {{.name = "status", .type = FieldType::text, .max = 16, .where = Where::query,
                         .help = "active or inactive"},
                        {.name = "page", .type = FieldType::integer, .max = Sessions::kPageMax, .min = 1, .where = Where::query},
                        {.name = "page_size", .type = FieldType::integer, .max = Sessions::kPageSizeMax, .min = 1,
                         .where = Where::query}},
             .handler = handler(&SessionCommands::list)});
  table.add({.method = "GET",
             .path = "/sessions/{id}",
             .summary = "One session",
             .fields = {kSessionId},
             .access = Access::scope,
             .handler = handler(&SessionCommands::get)});
  table.add({.method = "PATCH",
             .path = "/sessions/{id}",
             .summary = "Merges metadata; an empty value removes its key",
             .fields = {kSessionId,
                        {.name = "metadata", .type = FieldType::text_map, .required = true, .max = kMetadataBytes}},
             .access = Access::scope,
             .rate = command::Rate::durable,
             .handler = handler(&SessionCommands::update)});
  table.add({.method = "DELETE",
             .path = "/sessions/{id}",
             .summary = "Closes a session and its connections",
             .fields = {kSessionId},
             .access = Access::scope,
             .handler = handler(&SessionCommands::close)});
  table.add({.method = "POST",
             .path = "/sessions/{id}/heartbeat",
             .summary = "Keeps a session alive",
             .fields = {kSessionId},
             .access = Access::scope,
             .handler = handler(&SessionCommands::heartbeat)});
  table.add({.method = "GET",
             .path = "/ws/online",
             .summary = "How many users and connections are online",
             .access = Access::scope,
             .handler = handler(&SessionCommands::online)});
}

SessionCommands::Answer SessionCommands::create(Caller caller, Request request) {
  CreateRequest create;
  create.user = caller.key();
  create.device = DeviceId(request.has("device_id") ? request.text("device_id") : "default");
  create.metadata = request.has("metadata") ? request.text("metadata") : "{}";
  create.timeout_seconds = request.integer("timeout_seconds");
  create.client_ip = caller.client_ip;
  create.client_port = caller.client_port;
  create.client_id = request.text("id");
  const auto session = co_await sessions_.create(std::move(create));
  if (!session.ok()) {
    co_return session.error();
  }
  std::string data;
  JsonWriter writer(data);
  writer.begin()
      .raw("session", sessions_.to_json(*session))
      .field("token", sessions_.token_for(*session, caller));
  if (session->duplicate) {
    writer.field("duplicate", true);
  }
  writer.end();
  co_return reply_with(std::move(data), !session->duplicate);
}

SessionCommands::Answer SessionCommands::list(Caller caller, Request request) {
  ListRequest wanted;
  wanted.owner = caller.key();
  wanted.page = request.integer("page", 1);
  wanted.page_size = request.integer("page_size", 20);
  if (request.has("status")) {
    if (request.text("status") != "active" && request.text("status") != "inactive") {
      co_return invalid_field("status", "must be active or inactive");
    }
    const bool open = request.text("status") == "active";
    wanted.first = open ? State::connecting : State::disconnecting;
    wanted.last = open ? State::idle : State::closed;
  }
  const auto found = co_await sessions_.list(wanted);
  if (!found.ok()) {
    co_return found.error();
  }
  std::string list = "[";
  for (const Session& session : found->sessions) {
    list += list.size() > 1 ? "," : "";
    list += sessions_.to_json(session);
  }
  std::string data;
  JsonWriter(data)
      .begin()
      .raw("sessions", list + "]")
      .field("total", found->total)
      .field("page", wanted.page)
      .field("page_size", wanted.page_size)
      .field("has_more", wanted.page * wanted.page_size < found->total)
      .end();
  co_return reply_with(std::move(data));
}

SessionCommands::Answer SessionCommands::get(Caller caller, Request request) {
  const auto session = co_await sessions_.get(caller.key(), SessionId(request.text("id")));
  if (!session.ok()) {
    co_return session.error();
  }
  co_return reply_with(wrapped("session", sessions_.to_json(*session)));
}

SessionCommands::Answer SessionCommands::update(Caller caller, Request request) {
  UpdateRequest change;
  change.owner = caller.key();
  change.id = SessionId(request.text("id"));
  change.metadata = request.text("metadata");
  const auto session = co_await sessions_.update(std::move(change));
  if (!session.ok()) {
    co_return session.error();
  }
  co_return reply_with(wrapped("session", sessions_.to_json(*session)));
}

SessionCommands::Answer SessionCommands::close(Caller caller, Request request) {
  const Status closed = co_await sessions_.close(caller.key(), SessionId(request.text("id")));
  if (!closed.ok()) {
    co_return closed.error();
  }
  co_return reply_with("{\"success\":true}");
}

SessionCommands::Answer SessionCommands::heartbeat(Caller caller, Request request) {
  const auto session = co_await sessions_.heartbeat(caller.key(), SessionId(request.text("id")));
  if (!session.ok()) {
    co_return session.error();
  }
  const int64_t now = sessions_.clock_.unix_ms();
  std::string data;
  JsonWriter(data)
      .begin()
      .field("success", true)
      .field("server_timestamp", now)
      .field("remaining_seconds", (session->expires_at - now) / 1000)
      .raw("session", sessions_.to_json(*session))
      .end();
  co_return reply_with(std::move(data));
}

SessionCommands::Answer SessionCommands::online(Caller caller, Request) {
  const auto online = co_await sessions_.online(caller.tenant);
  std::string data;
  JsonWriter(data).begin().field("online_users", online.users).field("connections", online.connections).end();
  co_return reply_with(std::move(data));
}

}  // namespace tidemark::session
