#include "document/encode.h"

namespace tidemark::document {
namespace {

std::string strings_json(const std::vector<std::string>& strings) {
  std::string json = "[";
  for (const std::string& one : strings) {
    json += json.size() > 1 ? "," : "";
    append_json_string(json, one);
  }
  return json + "]";
}

std::string map_json(const std::map<std::string, std::string>& map) {
  std::string json = "{";
  for (const auto& [name, value] : map) {
    json += json.size() > 1 ? "," : "";
    append_json_string(json, name);
    json += ':';
    append_json_string(json, value);
  }
  return json + "}";
}

std::string operation_metadata_json(const OperationMetadata& metadata) {
  std::string json;
  JsonWriter writer(json);
  writer.begin();
  for (const auto& [name, value] : {std::pair("ip", &metadata.ip), std::pair("user_agent", &metadata.user_agent),
                                    std::pair("platform", &metadata.platform)}) {
    if (!value->empty()) {
      writer.field(name, *value);
    }
  }
  if (!metadata.extra.empty()) {
    writer.raw("extra", map_json(metadata.extra));
  }
  writer.end();
  return json;
}

void write_value(JsonWriter& writer, std::string_view name, const std::string& json) {
  if (!json.empty()) {
    writer.raw(name, json);
  }
}

}  // namespace

std::string_view event_name(EntryKind kind) {
  switch (kind) {
    case EntryKind::operation_applied: return "operation_applied";
    case EntryKind::document_updated: return "document_updated";
    case EntryKind::conflict_detected: return "conflict_detected";
    case EntryKind::conflict_resolved: return "conflict_resolved";
    case EntryKind::lock_acquired: return "lock_acquired";
    case EntryKind::lock_released: return "lock_released";
  }
  return "unknown";
}

std::string operation_json(const Operation& operation) {
  std::string json;
  json.reserve(256 + operation.data.size());
  JsonWriter writer(json);
  writer.begin().field("id", operation.id).field("doc_id", operation.doc_id);
  if (!operation.user_id.empty()) {
    writer.field("user_id", operation.user_id);
  }
  if (!operation.session_id.empty()) {
    writer.field("session_id", operation.session_id);
  }
  writer.field("type", operation.type).raw("data", operation.data.empty() ? "{}" : operation.data);
  writer.field("timestamp", operation.timestamp)
      .field("version", operation.version)
      .field("prev_version", operation.prev_version)
      .field("status", name_of(operation.status));
  if (!operation.client_id.empty()) {
    writer.field("client_id", operation.client_id);
  }
  if (!operation.metadata.empty()) {
    writer.raw("metadata", operation_metadata_json(operation.metadata));
  }
  if (operation.fence != 0) {
    writer.field("fence", operation.fence);
  }
  writer.end();
  return json;
}

std::string conflict_json(const Conflict& conflict) {
  std::string ops = "[";
  for (const Operation& operation : conflict.ops) {
    ops += ops.size() > 1 ? "," : "";
    ops += operation_json(operation);
  }
  ops += "]";
  std::string json;
  JsonWriter writer(json);
  writer.begin()
      .field("id", conflict.id)
      .field("doc_id", conflict.doc_id)
      .raw("ops", ops)
      .field("resolution", conflict.resolution)
      .field("resolved_by", conflict.resolved_by);
  if (conflict.resolved_op) {
    writer.raw("resolved_op", operation_json(*conflict.resolved_op));
  }
  writer.field("resolved_at", conflict.resolved_at)
      .field("description", conflict.description)
      .field("kind", conflict.kind)
      .field("path", conflict.path);
  write_value(writer, "base", conflict.base);
  write_value(writer, "ours", conflict.ours);
  write_value(writer, "theirs", conflict.theirs);
  writer.end();
  return json;
}

std::string lock_json(const Lock& lock) {
  std::string json;
  JsonWriter(json)
      .begin()
      .field("id", lock.id)
      .field("doc_id", lock.doc_id)
      .field("user_id", lock.user_id)
      .field("session_id", lock.session_id)
      .field("fence", lock.fence)
      .field("acquired_at", lock.acquired_at)
      .field("expires_at", lock.expires_at)
      .field("active", lock.active)
      .end();
  return json;
}

std::string permissions_json(const Permissions& permissions) {
  std::string json;
  JsonWriter(json)
      .begin()
      .field("owner", permissions.owner)
      .raw("editors", strings_json(permissions.editors))
      .raw("viewers", strings_json(permissions.viewers))
      .field("public", permissions.is_public)
      .end();
  return json;
}

std::string metadata_json(const Metadata& metadata) {
  std::string json;
  JsonWriter writer(json);
  writer.begin()
      .raw("tags", strings_json(metadata.tags))
      .field("description", metadata.description)
      .raw("properties", map_json(metadata.properties));
  if (metadata.permissions) {
    writer.raw("permissions", permissions_json(*metadata.permissions));
  }
  writer.end();
  return json;
}

std::string document_json(const Document& document, bool with_content) {
  std::string json;
  JsonWriter writer(json);
  writer.begin()
      .field("id", document.id)
      .field("name", document.name)
      .field("type", name_of(document.type))
      .field("state", name_of(document.state))
      .field("version", document.version)
      .field("seq", document.seq);
  if (with_content && document.type == Type::text) {
    writer.field("content", document.content);
  } else if (with_content) {
    writer.raw("content", document.content.empty() ? "{}" : document.content);
  }
  writer.field("created_by", document.created_by)
      .field("created_at", document.created_at)
      .field("updated_at", document.updated_at)
      .field("updated_by", document.updated_by)
      .raw("active_users", strings_json(document.active_users))
      .raw("metadata", metadata_json(document.metadata))
      .field("epoch", document.epoch)
      .end();
  return json;
}

std::string operation_body(const Operation& operation) { return "\"operation\":" + operation_json(operation); }

std::string conflict_body(const Conflict& conflict) { return "\"conflict\":" + conflict_json(conflict); }

std::string lock_body(const Lock& lock, std::string_view reason) {
  std::string body = "\"lock\":" + lock_json(lock);
  if (!reason.empty()) {
    body += ",\"reason\":";
    append_json_string(body, reason);
  }
  return body;
}

std::string document_body(const Document& document) { return "\"document\":" + document_json(document, false); }

std::string told_json(std::string_view doc_id, std::string_view event, std::string_view user, int64_t seq,
                      int64_t version, int64_t time_ms, std::string_view members) {
  std::string json;
  json.reserve(200 + members.size());
  JsonWriter writer(json);
  writer.begin().field("type", "document_event").field("event", event).field("document_id", doc_id);
  if (seq > 0) {
    writer.field("seq", seq);
  }
  writer.field("version", version);
  if (!user.empty()) {
    writer.field("user_id", user);
  }
  writer.field("timestamp", time_ms).members(members).end();
  return json;
}

std::string event_json(std::string_view doc_id, const stream::Entry& entry) {
  return told_json(doc_id, event_name(static_cast<EntryKind>(entry.kind)), entry.author, entry.seq,
                   version_of(entry.ordinal), entry.time_ms, entry.body);
}

}  // namespace tidemark::document
