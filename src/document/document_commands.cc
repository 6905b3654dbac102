#include "document/document_commands.h"

#include "document/service.h"

namespace tidemark::document {

using command::Caller;
using command::Reply;
using command::Request;

namespace {

// A text may come as it is, an object as JSON or as a string of JSON.
std::string content_of(const std::string& json) {
  if (!json.starts_with('"')) {
    return json;
  }
  simdjson::dom::parser parser;
  std::string_view text;
  return parser.parse(json).get(text) == simdjson::SUCCESS ? std::string(text) : json;
}

Answer apply_operation(Service* service, Caller caller, Operation operation, std::string doc_id) {
  operation.doc_id = doc_id;
  const bool over_rest = caller.door == command::Door::rest;
  auto applied = co_await service->apply(std::move(caller), std::move(operation));
  if (!applied.ok()) {
    co_return applied.error();
  }
  if (applied->refusal) {
    co_return std::move(*applied->refusal);
  }
  Reply reply;
  reply.type = "operation_ack";
  reply.created = !applied->duplicate;
  JsonWriter fields(reply.fields);
  fields.field("document_id", doc_id)
      .field("version", applied->operation.version)
      .field("seq", applied->seq)
      .field("status", name_of(applied->operation.status))
      .members(applied->body.empty() ? operation_body(applied->operation) : applied->body);
  if (applied->conflict) {
    fields.raw("conflict", conflict_json(*applied->conflict));
  }
  if (applied->duplicate) {
    fields.field("duplicate", true);
  }
  if (over_rest) {
    reply.data = "{" + reply.fields + "}";
  }
  co_return reply;
}

}  // namespace

// A connection's own session; on REST the one that is named, or the token's.
std::string session_of(const Caller& caller, const Request& request) {
  return caller.door == command::Door::websocket || !request.has("session_id") ? caller.session.str()
                                                                               : request.text("session_id");
}

std::string data_of(std::string_view name, std::string_view json) {
  std::string data;
  JsonWriter(data).begin().raw(name, json).end();
  return data;
}

// --- documents

Answer on_create(Service* service, Caller caller, Request request) {
  CreateRequest wanted;
  wanted.id = request.text("id");
  wanted.name = request.text("name");
  wanted.type = request.text("type");
  wanted.content = content_of(request.text("content"));
  if (request.has("metadata")) {
    auto metadata = read_metadata(request.text("metadata"));
    if (!metadata.ok()) {
      co_return metadata.error();
    }
    wanted.metadata = std::move(*metadata);
  }
  auto created = co_await service->create(std::move(caller), std::move(wanted));
  if (!created.ok()) {
    co_return created.error();
  }
  Reply reply;
  reply.created = !created->duplicate;
  JsonWriter writer(reply.data);
  writer.begin().raw("document", document_json(created->document, true));
  if (created->duplicate) {
    writer.field("duplicate", true);
  }
  writer.end();
  co_return reply;
}

Answer on_get(Service* service, Caller caller, Request request) {
  const auto document =
      co_await service->get(std::move(caller), request.text("document_id"), request.integer("version"));
  if (!document.ok()) {
    co_return document.error();
  }
  Reply reply;
  reply.data = data_of("document", document_json(*document, true));
  co_return reply;
}

Answer on_update(Service* service, Caller caller, Request request) {
  UpdateRequest wanted;
  wanted.id = request.text("id");
  wanted.doc_id = request.text("document_id");
  wanted.session_id = session_of(caller, request);
  wanted.version = request.integer("version");
  wanted.fence = request.integer("fence");
  wanted.restore_version = request.integer("restore_version");
  if (request.has("name")) {
    wanted.name = request.text("name");
  }
  if (request.has("state")) {
    wanted.state = request.text("state");
  }
  if (request.has("content")) {
    wanted.content = content_of(request.text("content"));
  }
  if (request.has("metadata")) {
    auto metadata = read_metadata(request.text("metadata"));
    if (!metadata.ok()) {
      co_return metadata.error();
    }
    wanted.metadata = std::move(*metadata);
  }
  auto updated = co_await service->update(std::move(caller), std::move(wanted));
  if (!updated.ok()) {
    co_return updated.error();
  }
  if (updated->refusal) {
    co_return std::move(*updated->refusal);
  }
  Reply reply;
  reply.data = data_of("document", document_json(updated->document, true));
  co_return reply;
}

Answer on_remove(Service* service, Caller caller, Request request) {
  DeleteRequest wanted;
  wanted.doc_id = request.text("document_id");
  wanted.session_id = session_of(caller, request);
  wanted.fence = request.integer("fence");
  auto removed = co_await service->remove(std::move(caller), std::move(wanted));
  if (!removed.ok()) {
    co_return removed.error();
  }
  if (removed->refusal) {
    co_return std::move(*removed->refusal);
  }
  co_return Reply();
}

Answer on_list(Service* service, Caller caller, Request request) {
  ListRequest wanted;
  wanted.type = request.text("type");
  wanted.state = request.text("state");
  wanted.created_by = request.text("created_by");
  wanted.user_id = request.text("user_id");
  wanted.offset = request.integer("offset");
  wanted.limit = request.integer("limit", 50);
  const int64_t end = wanted.offset + wanted.limit;
  const auto listed = co_await service->list(std::move(caller), std::move(wanted));
  if (!listed.ok()) {
    co_return listed.error();
  }
  Reply reply;
  JsonWriter(reply.data)
      .begin()
      .raw("documents", array_of(listed->documents, [](const Document& one) { return document_json(one, false); }))
      .field("total", listed->total)
      .field("has_more", end < listed->total)
      .end();
  co_return reply;
}

Answer on_stats(Service* service, Caller caller, Request) {
  const auto stats = co_await service->stats(std::move(caller));
  if (!stats.ok()) {
    co_return stats.error();
  }
  Reply reply;
  std::string json;
  JsonWriter(json)
      .begin()
      .field("total_documents", stats->total_documents)
      .field("active_documents", stats->active_documents)
      .field("archived_documents", stats->archived_documents)
      .field("total_operations", stats->total_operations)
      .field("total_conflicts", stats->total_conflicts)
      .field("resolved_conflicts", stats->resolved_conflicts)
      .field("active_subscribers", stats->active_subscribers)
      .field("active_locks", stats->active_locks)
      .field("last_updated", stats->last_updated)
      .end();
  reply.data = data_of("stats", json);
  co_return reply;
}

// --- operations

Answer on_operation(Service* service, Caller caller, Request request) {
  auto operation = read_operation(request.text("operation"));
  if (!operation.ok()) {
    co_return operation.error();
  }
  if (operation->id.empty()) {
    operation->id = request.text("id");
  }
  operation->session_id = caller.session.str();
  co_return co_await apply_operation(service, std::move(caller), std::move(*operation), request.text("document_id"));
}

// Over REST the operation is the body, or its member `operation`.
Answer on_post_operation(Service* service, Caller caller, Request request) {
  Operation operation;
  if (request.has("operation")) {
    auto given = read_operation(request.text("operation"));
    if (!given.ok()) {
      co_return given.error();
    }
    operation = std::move(*given);
  } else if (!request.has("type")) {
    co_return Error{Code::missing_field, "required", "type", 0};
  } else {
    if (request.has("metadata")) {
      auto with_metadata = read_operation(R"({"type":"-","metadata":)" + request.text("metadata") + "}");
      if (!with_metadata.ok()) {
        co_return with_metadata.error();
      }
      operation.metadata = std::move(with_metadata->metadata);
    }
    operation.type = request.text("type");
    operation.data = request.text("data");
    operation.prev_version = request.integer("prev_version");
    operation.client_id = request.text("client_id");
    operation.fence = request.integer("fence");
  }
  if (operation.id.empty()) {
    operation.id = request.text("id");
  }
  if (operation.session_id.empty()) {
    operation.session_id = session_of(caller, request);
  }
  co_return co_await apply_operation(service, std::move(caller), std::move(operation), request.text("document_id"));
}

Answer on_history(Service* service, Caller caller, Request request) {
  HistoryRequest wanted;
  wanted.doc_id = request.text("document_id");
  wanted.from_version = request.integer("from_version");
  wanted.limit = request.integer("limit", 50);
  const auto operations = co_await service->history(std::move(caller), std::move(wanted));
  if (!operations.ok()) {
    co_return operations.error();
  }
  Reply reply;
  reply.data = data_of("operations", array_of(*operations, &operation_json));
  co_return reply;
}

}  // namespace tidemark::document
