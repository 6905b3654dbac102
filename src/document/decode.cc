// JSON that this program wrote, back to values.
#include "document/encode.h"

namespace tidemark::document {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

constexpr size_t kDepth = 64;  // around what the doors let in

simdjson::dom::parser& parser() {
  thread_local simdjson::dom::parser one;
  return one;
}

std::string text_at(element json, std::string_view name) {
  std::string_view text;
  return json[name].get(text) == simdjson::SUCCESS ? std::string(text) : std::string();
}
int64_t number_at(element json, std::string_view name) {
  int64_t number = 0;
  return json[name].get(number) == simdjson::SUCCESS ? number : 0;
}
bool flag_at(element json, std::string_view name) {
  bool flag = false;
  return json[name].get(flag) == simdjson::SUCCESS && flag;
}
std::string json_at(element json, std::string_view name) {
  element value;
  return json[name].get(value) == simdjson::SUCCESS ? to_json(value) : std::string();
}
std::vector<std::string> strings_at(element json, std::string_view name) {
  std::vector<std::string> strings;
  array values;
  if (json[name].get(values) == simdjson::SUCCESS) {
    for (const element one : values) {
      std::string_view text;
      if (one.get(text) == simdjson::SUCCESS) {
        strings.emplace_back(text);
      }
    }
  }
  return strings;
}
std::map<std::string, std::string> map_at(element json, std::string_view name) {
  std::map<std::string, std::string> map;
  object members;
  if (json[name].get(members) == simdjson::SUCCESS) {
    for (const auto& [key, value] : members) {
      std::string_view text;
      if (value.get(text) == simdjson::SUCCESS) {
        map.emplace(key, text);
      }
    }
  }
  return map;
}

OperationMetadata operation_metadata_of(element json) {
  OperationMetadata metadata;
  metadata.ip = text_at(json, "ip");
  metadata.user_agent = text_at(json, "user_agent");
  metadata.platform = text_at(json, "platform");
  metadata.extra = map_at(json, "extra");
  return metadata;
}

Permissions permissions_of(element json) {
  Permissions permissions;
  permissions.owner = text_at(json, "owner");
  permissions.editors = strings_at(json, "editors");
  permissions.viewers = strings_at(json, "viewers");
  permissions.is_public = flag_at(json, "public");
  return permissions;
}

Document document_of(element json) {
  Document document;
  document.id = text_at(json, "id");
  document.name = text_at(json, "name");
  document.type = type_named(text_at(json, "type")).value_or(Type::whiteboard);
  document.state = state_named(text_at(json, "state")).value_or(State::active);
  document.version = number_at(json, "version");
  document.seq = number_at(json, "seq");
  document.created_by = text_at(json, "created_by");
  document.created_at = number_at(json, "created_at");
  document.updated_at = number_at(json, "updated_at");
  document.updated_by = text_at(json, "updated_by");
  document.active_users = strings_at(json, "active_users");
  if (element metadata; json["metadata"].get(metadata) == simdjson::SUCCESS) {
    document.metadata = metadata_of(metadata);
  }
  document.epoch = text_at(json, "epoch");
  return document;
}

// A body is what stands between braces.
template <class T, class F>
std::optional<T> member_in(std::string_view body, std::string_view name, F read) {
  std::string json = "{";
  json += body;
  json += '}';
  const auto whole = parse_json(parser(), json, kDepth);
  element member;
  if (!whole.ok() || (*whole)[name].get(member) != simdjson::SUCCESS) {
    return std::nullopt;
  }
  return read(member);
}

}  // namespace

Operation operation_of(element json) {
  Operation operation;
  operation.id = text_at(json, "id");
  operation.doc_id = text_at(json, "doc_id");
  operation.user_id = text_at(json, "user_id");
  operation.session_id = text_at(json, "session_id");
  operation.type = text_at(json, "type");
  operation.data = json_at(json, "data");
  operation.timestamp = number_at(json, "timestamp");
  operation.version = number_at(json, "version");
  operation.prev_version = number_at(json, "prev_version");
  operation.status = status_named(text_at(json, "status")).value_or(OperationStatus::applied);
  operation.client_id = text_at(json, "client_id");
  if (element metadata; json["metadata"].get(metadata) == simdjson::SUCCESS) {
    operation.metadata = operation_metadata_of(metadata);
  }
  operation.fence = number_at(json, "fence");
  return operation;
}

Conflict conflict_of(element json) {
  Conflict conflict;
  conflict.id = text_at(json, "id");
  conflict.doc_id = text_at(json, "doc_id");
  if (array ops; json["ops"].get(ops) == simdjson::SUCCESS) {
    for (const element one : ops) {
      conflict.ops.push_back(operation_of(one));
    }
  }
  conflict.resolution = text_at(json, "resolution");
  conflict.resolved_by = text_at(json, "resolved_by");
  if (element resolved; json["resolved_op"].get(resolved) == simdjson::SUCCESS) {
    conflict.resolved_op = operation_of(resolved);
  }
  conflict.resolved_at = number_at(json, "resolved_at");
  conflict.description = text_at(json, "description");
  conflict.kind = text_at(json, "kind");
  conflict.path = text_at(json, "path");
  conflict.base = json_at(json, "base");
  conflict.ours = json_at(json, "ours");
  conflict.theirs = json_at(json, "theirs");
  return conflict;
}

Lock lock_of(element json) {
  Lock lock;
  lock.id = text_at(json, "id");
  lock.doc_id = text_at(json, "doc_id");
  lock.user_id = text_at(json, "user_id");
  lock.session_id = text_at(json, "session_id");
  lock.fence = number_at(json, "fence");
  lock.acquired_at = number_at(json, "acquired_at");
  lock.expires_at = number_at(json, "expires_at");
  lock.active = flag_at(json, "active");
  return lock;
}

Metadata metadata_of(element json) {
  Metadata metadata;
  metadata.tags = strings_at(json, "tags");
  metadata.description = text_at(json, "description");
  metadata.properties = map_at(json, "properties");
  if (element permissions; json["permissions"].get(permissions) == simdjson::SUCCESS) {
    metadata.permissions = permissions_of(permissions);
  }
  return metadata;
}

std::optional<Operation> operation_in(std::string_view body) {
  return member_in<Operation>(body, "operation", &operation_of);
}

std::optional<Conflict> conflict_in(std::string_view body) {
  return member_in<Conflict>(body, "conflict", &conflict_of);
}

std::optional<Event> event_of(std::string_view frame) {
  const auto json = parse_json(parser(), frame, kDepth);
  if (!json.ok() || text_at(*json, "type") != "document_event") {
    return std::nullopt;
  }
  Event event;
  event.type = text_at(*json, "event");
  event.doc_id = text_at(*json, "document_id");
  event.user_id = text_at(*json, "user_id");
  event.seq = number_at(*json, "seq");
  event.version = number_at(*json, "version");
  event.timestamp = number_at(*json, "timestamp");
  if (event.seq > 0) {
    event.id = event.doc_id + '.' + std::to_string(event.seq);
  }
  if (element value; (*json)["operation"].get(value) == simdjson::SUCCESS) {
    event.operation = operation_of(value);
  }
  if (element value; (*json)["document"].get(value) == simdjson::SUCCESS) {
    event.document = document_of(value);
  }
  if (element value; (*json)["conflict"].get(value) == simdjson::SUCCESS) {
    event.conflict = conflict_of(value);
  }
  if (element value; (*json)["lock"].get(value) == simdjson::SUCCESS) {
    event.lock = lock_of(value);
  }
  if (const std::string reason = text_at(*json, "reason"); !reason.empty()) {
    event.data.emplace("reason", reason);
  }
  return event;
}

}  // namespace tidemark::document
