// JSON that a client wrote, to values: everything is checked, and the first thing that is wrong is named.
#include "document/encode.h"

namespace tidemark::document {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

constexpr size_t kDepth = 64;  // the doors and the engine allow less
constexpr size_t kTextBytes = 1024;
constexpr size_t kExtraMax = 32;
constexpr size_t kPropertiesMax = 1000;
constexpr size_t kListMax = 10'000;

simdjson::dom::parser& parser() {
  thread_local simdjson::dom::parser one;
  return one;
}

// Reads the members of an object that a client wrote; remembers the first thing that is wrong.
class Reader {
 public:
  explicit Reader(element json, std::string prefix = {}) : prefix_(std::move(prefix)) {
    if (json.get(object_) != simdjson::SUCCESS) {
      wrong({}, "an object is expected");
    }
  }

  void text(std::string_view name, std::string& to, size_t max = kTextBytes) {
    element value;
    std::string_view text;
    if (!find(name, value)) {
      return;
    }
    if (value.get(text) != simdjson::SUCCESS) {
      wrong(name, "a string is expected");
    } else if (text.size() > max) {
      wrong(name, "longer than " + std::to_string(max) + " bytes");
    } else {
      to = text;
    }
  }
  void number(std::string_view name, int64_t& to) {
    element value;
    if (find(name, value) && (value.get(to) != simdjson::SUCCESS || to < 0)) {
      wrong(name, "an integer of at least 0 is expected");
    }
  }
  void flag(std::string_view name, bool& to) {
    element value;
    if (find(name, value) && value.get(to) != simdjson::SUCCESS) {
      wrong(name, "true or false is expected");
    }
  }
  void strings(std::string_view name, std::vector<std::string>& to) {
    element value;
    array values;
    if (!find(name, value)) {
      return;
    }
    if (value.get(values) != simdjson::SUCCESS || values.size() > kListMax) {
      wrong(name, "an array of at most " + std::to_string(kListMax) + " strings is expected");
      return;
    }
    for (const element one : values) {
      std::string_view text;
      if (one.get(text) != simdjson::SUCCESS || text.empty() || text.size() > kTextBytes) {
        wrong(name, "strings of 1 to 1024 bytes are expected");
        return;
      }
      to.emplace_back(text);
    }
  }
  void map(std::string_view name, std::map<std::string, std::string>& to, size_t max) {
    element value;
    object members;
    if (!find(name, value)) {
      return;
    }
    if (value.get(members) != simdjson::SUCCESS || members.size() > max) {
      wrong(name, "an object of at most " + std::to_string(max) + " strings is expected");
      return;
    }
    for (const auto& [key, one] : members) {
      std::string_view text;
      if (one.get(text) != simdjson::SUCCESS) {
        wrong(name, "its values have to be strings");
        return;
      }
      to[std::string(key)] = text;
    }
  }
  bool find(std::string_view name, element& value) {
    if (error_ || object_[name].get(value) != simdjson::SUCCESS) {
      return false;
    }
    if (value.is_null()) {
      wrong(name, "null is not allowed");
      return false;
    }
    return true;
  }
  void wrong(std::string_view name, std::string text) {
    if (!error_) {
      const std::string dot = prefix_.empty() || name.empty() ? "" : ".";
      error_ = invalid_field(prefix_ + dot + std::string(name), std::move(text));
    }
  }
  void take(const Reader& nested) {
    if (!error_ && nested.error_) {
      error_ = nested.error_;
    }
  }
  const std::optional<Error>& error() const { return error_; }

 private:
  std::string prefix_;
  object object_;
  std::optional<Error> error_;
};

}  // namespace

Result<Operation> read_operation(std::string_view json) {
  const auto whole = parse_json(parser(), json, kDepth);
  if (!whole.ok()) {
    return invalid_field("operation", whole.error().text);
  }
  Operation operation;
  Reader reader(*whole, "operation");
  reader.text("id", operation.id, 64);
  reader.text("session_id", operation.session_id, kIdBytesMax);
  reader.text("type", operation.type, 16);
  if (element data; reader.find("data", data)) {
    if (!data.is_object()) {
      reader.wrong("data", "an object is expected");
    } else {
      operation.data = to_json(data);
    }
  }
  reader.number("prev_version", operation.prev_version);
  reader.text("client_id", operation.client_id);
  reader.number("fence", operation.fence);
  if (element metadata; reader.find("metadata", metadata)) {
    Reader nested(metadata, "operation.metadata");
    nested.text("ip", operation.metadata.ip);
    nested.text("user_agent", operation.metadata.user_agent);
    nested.text("platform", operation.metadata.platform);
    nested.map("extra", operation.metadata.extra, kExtraMax);
    reader.take(nested);
  }
  if (reader.error()) {
    return *reader.error();
  }
  if (operation.type.empty()) {
    return Error{Code::missing_field, "required", "operation.type", 0};
  }
  return operation;
}

Result<Metadata> read_metadata(std::string_view json) {
  const auto whole = parse_json(parser(), json, kDepth);
  if (!whole.ok()) {
    return invalid_field("metadata", whole.error().text);
  }
  Metadata metadata;
  Reader reader(*whole, "metadata");
  reader.strings("tags", metadata.tags);
  reader.text("description", metadata.description, 16 * kTextBytes);
  reader.map("properties", metadata.properties, kPropertiesMax);
  if (element value; reader.find("permissions", value)) {
    Permissions permissions;
    Reader nested(value, "metadata.permissions");
    nested.text("owner", permissions.owner, kIdBytesMax);
    nested.strings("editors", permissions.editors);
    nested.strings("viewers", permissions.viewers);
    nested.flag("public", permissions.is_public);
    reader.take(nested);
    metadata.permissions = std::move(permissions);
  }
  if (reader.error()) {
    return *reader.error();
  }
  return metadata;
}

std::optional<Error> spell_json(std::string& json, std::string_view field) {
  const auto whole = parse_json(parser(), json, kDepth);
  if (!whole.ok()) {
    return Error{Code::invalid_json, whole.error().text, std::string(field), 0};
  }
  json = to_json(*whole);
  return std::nullopt;
}

}  // namespace tidemark::document
