// The rows of the document room.
#include "document/document_commands.h"
#include "document/service.h"

namespace tidemark::document {
namespace {

using command::Field;
using command::FieldType;
using command::Rate;
using command::Where;

constexpr auto kScope = command::Access::scope;
constexpr int64_t kNameBytes = 256;
constexpr int64_t kOperationBytes = 300 * 1024;  // data of the default size, and what is around it

const Field kClientId{.name = "id", .type = FieldType::client_id};
const Field kDocument{.name = "document_id", .type = FieldType::id, .required = true, .where = Where::path};
const Field kSession{.name = "session_id", .type = FieldType::id, .help = "the caller's session or any name of its own"};
const Field kFence{.name = "fence", .type = FieldType::integer, .help = "of the lock that the writer believes to hold"};
const Field kOperation{.name = "operation", .type = FieldType::object, .max = kOperationBytes};

Field integer(std::string_view name, int64_t min, int64_t max = INT64_MAX, Where where = Where::body) {
  return {.name = name, .type = FieldType::integer, .max = max, .min = min, .where = where};
}
Field word(std::string_view name, Where where = Where::body, bool required = false) {
  return {.name = name, .type = FieldType::text, .required = required, .max = 32, .where = where};
}

}  // namespace

void add_document_rows(Service* service, command::Table& table) {
  const auto handler = [service](DocumentCommand command) -> command::Handler {
    return [service, command](command::Caller caller, command::Request request) {
      return command(service, std::move(caller), std::move(request));
    };
  };
  const DocumentOptions& options = service->options();
  const auto content_max = static_cast<int64_t>(options.content_bytes) * 2;  // as JSON, where escapes count
  const int64_t lock_max = options.lock_ttl_max.count();
  const Field name{.name = "name", .type = FieldType::text, .max = kNameBytes};
  Field required_name = name;
  required_name.required = true;
  const Field content{.name = "content", .type = FieldType::content, .max = content_max,
                      .help = "the text, or an object of objects by their ids"};
  const Field metadata{.name = "metadata", .type = FieldType::object, .max = static_cast<int64_t>(options.metadata_bytes)};
  const Field ttl = integer("ttl_ms", 1, lock_max);
  const Field wait = integer("wait_ms", 0, lock_max);
  const Field lock_id{.name = "lock_id", .type = FieldType::id};
  const Field force{.name = "force", .type = FieldType::boolean, .help = "by the owner of the document"};
  const Field conflict_id{.name = "conflict_id", .type = FieldType::id, .required = true};
  Field required_operation = kOperation;
  required_operation.required = true;

  table.add({.type = "subscribe",
             .summary = "Follows a document, from now on or from a version on",
             .fields = {kClientId, kDocument, integer("since_version", 1)},
             .handler = handler(&on_subscribe)});
  table.add({.type = "unsubscribe",
             .summary = "Follows a document no longer",
             .fields = {kClientId, kDocument},
             .rate = Rate::signal,
             .handler = handler(&on_unsubscribe)});
  table.add({.type = "operation",
             .summary = "Changes a document",
             .fields = {kClientId, kDocument, required_operation},
             .rate = Rate::edit,
             .handler = handler(&on_operation)});
  table.add({.type = "lock",
             .summary = "Takes or renews the lock of a document",
             .fields = {kClientId, kDocument, ttl, wait},
             .rate = Rate::edit,
             .handler = handler(&on_lock)});
  table.add({.type = "unlock",
             .summary = "Releases the lock of a document",
             .fields = {kClientId, kDocument, lock_id, force},
             .rate = Rate::edit,
             .handler = handler(&on_unlock)});
  table.add({.type = "awareness",
             .summary = "Tells the other subscribers of a document something that is not kept",
             .fields = {kDocument, {.name = "state", .type = FieldType::object, .required = true, .max = 16 * 1024}},
             .rate = Rate::signal,
             .handler = handler(&on_awareness)});
  table.add({.type = "resolve",
             .summary = "Decides an open conflict",
             .fields = {kClientId, kDocument, conflict_id, word("take", Where::body, true), kOperation},
             .rate = Rate::edit,
             .handler = handler(&on_resolve)});

  table.add({.method = "POST",
             .path = "/documents",
             .summary = "Creates a document",
             .fields = {kClientId, required_name, word("type", Where::body, true), content, metadata},
             .access = kScope,
             .rate = Rate::creation,
             .handler = handler(&on_create)});
  table.add({.method = "GET",
             .path = "/documents",
             .summary = "Documents that the caller may read, the last changed first, without content",
             .fields = {word("type", Where::query), word("state", Where::query),
                        {.name = "created_by", .type = FieldType::id, .where = Where::query},
                        {.name = "user_id", .type = FieldType::id, .where = Where::query,
                         .help = "for a service: documents that this user may read"},
                        integer("offset", 0, INT32_MAX, Where::query), integer("limit", 1, 200, Where::query)},
             .access = kScope,
             .handler = handler(&on_list)});
  table.add({.method = "GET",
             .path = "/documents/stats",
             .summary = "Counts of what is stored and live in the tenant",
             .fields = {},
             .access = kScope,
             .handler = handler(&on_stats)});
  table.add({.method = "GET",
             .path = "/documents/{document_id}",
             .summary = "One document, also as it was at a version",
             .fields = {kDocument, integer("version", 1, INT64_MAX, Where::query)},
             .access = kScope,
             .handler = handler(&on_get)});
  table.add({.method = "PATCH",
             .path = "/documents/{document_id}",
             .summary = "Changes name, state, metadata or the whole content, or restores an old version",
             .fields = {kClientId, kDocument, name, word("state"), metadata, content, integer("version", 1),
                        integer("restore_version", 1), kFence, kSession},
             .access = kScope,
             .rate = Rate::edit,
             .handler = handler(&on_update)});
  table.add({.method = "DELETE",
             .path = "/documents/{document_id}",
             .summary = "Deletes a document",
             .fields = {kDocument, kFence, kSession},
             .access = kScope,
             .rate = Rate::edit,
             .handler = handler(&on_remove)});
  table.add({.method = "POST",
             .path = "/documents/{document_id}/operations",
             .summary = "Changes a document; the operation is the body or its member `operation`",
             .fields = {kClientId, kDocument, kOperation, word("type"),
                        {.name = "data", .type = FieldType::object, .max = kOperationBytes}, integer("prev_version", 0),
                        kSession, {.name = "client_id", .type = FieldType::id}, kFence,
                        {.name = "metadata", .type = FieldType::object, .max = 16 * 1024}},
             .access = kScope,
             .rate = Rate::edit,
             .handler = handler(&on_post_operation)});
  table.add({.method = "GET",
             .path = "/documents/{document_id}/operations",
             .summary = "Accepted operations in order: those after from_version, else the newest",
             .fields = {kDocument, integer("from_version", 0, INT64_MAX, Where::query),
                        integer("limit", 1, 1000, Where::query)},
             .access = kScope,
             .handler = handler(&on_history)});
  table.add({.method = "GET",
             .path = "/documents/{document_id}/lock",
             .summary = "The lock of a document, if it is held",
             .fields = {kDocument},
             .access = kScope,
             .handler = handler(&on_locked)});
  table.add({.method = "POST",
             .path = "/documents/{document_id}/lock",
             .summary = "Takes or renews the lock of a document",
             .fields = {kDocument, kSession, ttl, wait},
             .access = kScope,
             .rate = Rate::edit,
             .handler = handler(&on_lock)});
  table.add({.method = "DELETE",
             .path = "/documents/{document_id}/lock",
             .summary = "Releases the lock of a document",
             .fields = {kDocument, kSession, lock_id, force},
             .access = kScope,
             .rate = Rate::edit,
             .handler = handler(&on_unlock)});
  table.add({.method = "GET",
             .path = "/documents/{document_id}/conflicts",
             .summary = "Conflicts of a document, oldest first",
             .fields = {kDocument, {.name = "open_only", .type = FieldType::boolean, .where = Where::query},
                        integer("limit", 1, 200, Where::query)},
             .access = kScope,
             .handler = handler(&on_conflicts)});
  table.add({.method = "POST",
             .path = "/documents/{document_id}/conflicts",
             .summary = "Decides an open conflict",
             .fields = {kDocument, conflict_id, word("take", Where::body, true), kOperation, kSession},
             .access = kScope,
             .rate = Rate::edit,
             .handler = handler(&on_resolve)});
}

}  // namespace tidemark::document
