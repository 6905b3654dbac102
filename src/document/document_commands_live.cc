// What the rows of locks, conflicts and following do.
#include "document/document_commands.h"
#include "document/service.h"

namespace tidemark::document {

using command::Caller;
using command::Reply;
using command::Request;

namespace {

Error held(const Lock& lock) {
  const std::string text = lock.id.empty() ? "others wait for the lock"
                                           : "locked by " + lock.user_id + " until " + std::to_string(lock.expires_at);
  return Error{Code::locked, text, {}, 0};
}

}  // namespace

Answer on_lock(Service* service, Caller caller, Request request) {
  LockRequest wanted;
  wanted.doc_id = request.text("document_id");
  wanted.session_id = session_of(caller, request);
  wanted.ttl_ms = request.integer("ttl_ms");
  wanted.wait_ms = request.integer("wait_ms");
  const auto answer = co_await service->lock(std::move(caller), std::move(wanted));
  if (!answer.ok()) {
    co_return answer.error();
  }
  if (answer->held_by_other) {
    co_return held(*answer->held_by_other);
  }
  Reply reply;
  reply.type = "locked";
  JsonWriter(reply.fields).field("document_id", request.text("document_id")).raw("lock", lock_json(*answer->lock));
  reply.data = data_of("lock", lock_json(*answer->lock));
  co_return reply;
}

Answer on_unlock(Service* service, Caller caller, Request request) {
  UnlockRequest wanted;
  wanted.doc_id = request.text("document_id");
  wanted.session_id = session_of(caller, request);
  wanted.lock_id = request.text("lock_id");
  wanted.force = request.boolean("force");
  const Status unlocked = co_await service->unlock(std::move(caller), std::move(wanted));
  if (!unlocked.ok()) {
    co_return unlocked.error();
  }
  Reply reply;
  reply.type = "unlocked";
  JsonWriter(reply.fields).field("document_id", request.text("document_id"));
  co_return reply;
}

Answer on_locked(Service* service, Caller caller, Request request) {
  const auto lock = co_await service->locked(std::move(caller), request.text("document_id"));
  if (!lock.ok()) {
    co_return lock.error();
  }
  Reply reply;
  JsonWriter writer(reply.data);
  writer.begin().field("locked", lock->has_value());
  if (*lock) {
    writer.raw("lock", lock_json(**lock));
  }
  writer.end();
  co_return reply;
}

Answer on_conflicts(Service* service, Caller caller, Request request) {
  ConflictsRequest wanted;
  wanted.doc_id = request.text("document_id");
  wanted.open_only = request.boolean("open_only");
  wanted.limit = request.integer("limit", 50);
  const auto found = co_await service->conflicts(std::move(caller), std::move(wanted));
  if (!found.ok()) {
    co_return found.error();
  }
  Reply reply;
  reply.data = data_of("conflicts", array_of(*found, &conflict_json));
  co_return reply;
}

Answer on_resolve(Service* service, Caller caller, Request request) {
  ResolveRequest wanted;
  wanted.doc_id = request.text("document_id");
  wanted.conflict_id = request.text("conflict_id");
  wanted.session_id = session_of(caller, request);
  wanted.take = request.text("take");
  if (request.has("operation")) {
    auto operation = read_operation(request.text("operation"));
    if (!operation.ok()) {
      co_return operation.error();
    }
    wanted.operation = std::move(*operation);
  }
  const auto conflict = co_await service->resolve(std::move(caller), std::move(wanted));
  if (!conflict.ok()) {
    co_return conflict.error();
  }
  Reply reply;
  reply.type = "resolved";
  JsonWriter(reply.fields)
      .field("document_id", request.text("document_id"))
      .raw("conflict", conflict_json(*conflict));
  reply.data = data_of("conflict", conflict_json(*conflict));
  co_return reply;
}

Answer on_subscribe(Service* service, Caller caller, Request request) {
  const auto since = request.has("since_version") ? std::optional(request.integer("since_version")) : std::nullopt;
  auto following = co_await service->follow(std::move(caller), request.text("document_id"), since);
  if (!following.ok()) {
    co_return following.error();
  }
  Reply reply;
  reply.type = "subscribed";
  JsonWriter fields(reply.fields);
  fields.field("document_id", request.text("document_id"));
  if (following->operations) {
    fields.raw("operations", array_of(*following->operations, &operation_json));
  } else {
    fields.raw("document", document_json(following->document, true));
  }
  fields.field("version", following->version)
      .field("seq", following->follow.position)
      .field("epoch", service->epoch())
      .raw("users", array_of(following->users, [](const std::string& user) {
             std::string json;
             append_json_string(json, user);
             return json;
           }));
  reply.follow = std::move(following->follow);
  co_return reply;
}

Answer on_unsubscribe(Service* service, Caller caller, Request request) {
  auto key = co_await service->unfollow(std::move(caller), request.text("document_id"));
  if (!key.ok()) {
    co_return key.error();
  }
  Reply reply;
  reply.type = "unsubscribed";
  JsonWriter(reply.fields).field("document_id", request.text("document_id"));
  reply.unfollow = std::move(*key);
  co_return reply;
}

Answer on_awareness(Service* service, Caller caller, Request request) {
  const Status told =
      co_await service->awareness(std::move(caller), request.text("document_id"), request.text("state"));
  if (!told.ok()) {
    co_return told.error();
  }
  co_return Reply();
}

}  // namespace tidemark::document
