// Writing what patch.h declares: contents, objects and data of operations.
#include <utility>

#include "core/json.h"
#include "document/engine/patch.h"

namespace tidemark::document::engine {
namespace {

std::string_view or_null(const std::string& value) { return value.empty() ? std::string_view("null") : value; }

// The members of [at, end), all of which have the same first `prefix` bytes: names up to the next dot, nested. Whatever
// is below one name stands together, because keys are in the order of their bytes.
template <class Iterator>
void append_members(Iterator& at, Iterator end, size_t prefix, std::string& out) {
  const std::string_view above = std::string_view(at->first).substr(0, prefix);
  for (bool first = true; at != end && std::string_view(at->first).starts_with(above); first = false) {
    out += first ? "" : ",";
    const std::string_view rest = std::string_view(at->first).substr(prefix);
    const size_t dot = rest.find('.');
    append_json_string(out, rest.substr(0, dot));
    out += ':';
    if (dot == std::string_view::npos) {
      out += or_null(at->second);
      ++at;
      continue;
    }
    out += '{';
    append_members(at, end, prefix + dot + 1, out);
    out += '}';
  }
}

void append_object(const PlainObject& object, std::string& out) {
  out += '{';
  if (auto at = object.begin(); at != object.end()) {
    append_members(at, object.end(), 0, out);
  }
  out += '}';
}

}  // namespace

std::string object_json(const PlainObject& object) {
  std::string out;
  append_object(object, out);
  return out;
}

std::string content_of(const Plain& objects) {
  static const PlainObject kNone;
  const auto root = objects.find(std::string_view());
  const PlainObject& values = root == objects.end() ? kNone : root->second;
  auto value = values.begin();
  auto object = objects.begin();
  if (root != objects.end()) {
    ++object;
  }
  std::string out = "{";
  while (value != values.end() || object != objects.end()) {
    out += out.size() > 1 ? "," : "";
    const bool is_value = object == objects.end() || (value != values.end() && value->first < object->first);
    append_json_string(out, is_value ? value->first : object->first);
    out += ':';
    if (is_value) {
      out += (value++)->second;
    } else {
      append_object((object++)->second, out);
    }
  }
  out += '}';
  return out;
}

std::string data_of(const Edit& edit) {
  std::string out = "{\"id\":";
  append_json_string(out, edit.object);
  PlainObject members;
  for (const Write& write : edit.writes) {
    members.emplace(write.key, write.value);
  }
  if (edit.object.empty()) {
    for (const auto& [key, value] : members) {  // names of the root's registers are no paths
      out += ',';
      append_json_string(out, key);
      out += ':';
      out += or_null(value);
    }
  } else if (auto at = members.begin(); at != members.end()) {
    out += ',';
    append_members(at, members.end(), 0, out);
  }
  out += '}';
  return out;
}

std::string data_of(const TextEdit& edit, Kind kind) {
  std::string out = "{";
  if (kind == Kind::objects) {
    out += "\"id\":";
    append_json_string(out, edit.object);
    out += ",\"key\":";
    append_json_string(out, edit.key);
    out += ',';
  }
  out += "\"ops\":";
  out += edit.operation.json();
  out += '}';
  return out;
}

}  // namespace tidemark::document::engine
