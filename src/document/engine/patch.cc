#include "document/engine/patch.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/ids.h"
#include "core/json.h"
#include "document/engine/flatten.h"

namespace tidemark::document::engine {
namespace {

// What the operation types of objects ask for beyond an id.
struct Shape {
  std::string_view type;
  Edit::Kind kind;
  std::array<std::string_view, 2> numbers;  // members that must be there, numbers
  std::string_view object;                  // a member that must be there, an object
};
constexpr std::array<Shape, 6> kShapes = {{
    {"create", Edit::Kind::create, {}, {}},
    {"update", Edit::Kind::update, {}, {}},
    {"delete", Edit::Kind::remove, {}, {}},
    {"move", Edit::Kind::update, {"x", "y"}, {}},
    {"resize", Edit::Kind::update, {"w", "h"}, {}},
    {"style", Edit::Kind::update, {}, "style"},
}};

Error missing(std::string_view field) {
  return Error{Code::missing_field, std::string(field) + " is missing", std::string(field), 0};
}

Status check_members(const Shape& shape, simdjson::dom::object data) {
  for (const std::string_view name : shape.numbers) {
    simdjson::dom::element value;
    if (name.empty()) {
      continue;
    }
    if (data.at_key(name).get(value) != simdjson::SUCCESS) {
      return missing(name);
    }
    if (!value.is_number()) {
      return invalid_field(name, std::string(name) + " is a number");
    }
  }
  if (simdjson::dom::element value; !shape.object.empty()) {
    if (data.at_key(shape.object).get(value) != simdjson::SUCCESS) {
      return missing(shape.object);
    }
    if (!value.is_object()) {
      return invalid_field(shape.object, std::string(shape.object) + " is an object");
    }
  }
  return {};
}

// The member "id". Only edits and texts may mean the root object.
Result<std::string> id_of(simdjson::dom::object data, bool may_be_root) {
  simdjson::dom::element value;
  std::string_view id;
  if (data.at_key("id").get(value) != simdjson::SUCCESS) {
    return missing("id");
  }
  if (value.get_string().get(id) != simdjson::SUCCESS || (id.empty() ? !may_be_root : !is_valid_id(id))) {
    return invalid_field("id",
                         "an object's id is 1 to " + std::to_string(kIdBytesMax) + " bytes without control characters");
  }
  return std::string(id);
}

FlattenRules rules_for(std::string_view object, const Limits& limits) {
  return {
      .depth_max = limits.depth_max, .key_bytes_max = limits.key_bytes_max, .nested = !object.empty(), .id = object};
}

Result<Plain> plain_of(simdjson::ondemand::object content, const Limits& limits) {
  Plain objects;
  std::vector<Write> root;
  for (auto field : content) {
    std::string_view name;
    simdjson::ondemand::value json;
    simdjson::ondemand::json_type type;
    if (field.unescaped_key().get(name) != simdjson::SUCCESS || field.value().get(json) != simdjson::SUCCESS ||
        json.type().get(type) != simdjson::SUCCESS) {
      return fail(Code::invalid_json, "cannot be read");
    }
    std::string id(name);
    if (type != simdjson::ondemand::json_type::object) {
      if (auto read = flatten_value(json, id, 1, rules_for({}, limits), root); !read) {
        return read.error();
      }
      continue;
    }
    simdjson::ondemand::object members;
    if (!is_valid_id(id) || objects.contains(id) || json.get_object().get(members) != simdjson::SUCCESS) {
      return invalid_field("content", "an object's id is 1 to " + std::to_string(kIdBytesMax) +
                                          " bytes without control characters, and there once");
    }
    auto writes = flatten(members, rules_for(id, limits));
    if (!writes) {
      return writes.error();
    }
    PlainObject& object = objects[id];
    for (Write& write : *writes) {
      if (!write.value.empty()) {
        object.emplace(std::move(write.key), std::move(write.value));
      }
    }
  }
  if (auto ordered = order_writes(root, false); !ordered) {
    return ordered.error();
  }
  for (Write& write : root) {
    if (objects.contains(write.key)) {
      return invalid_field("content", "is named twice: " + write.key);
    }
    if (!write.value.empty()) {
      objects[""].emplace(std::move(write.key), std::move(write.value));
    }
  }
  return objects;
}

// {"content": …} without id: the whole content.
Result<Patch> read_whole(Kind kind, Reading& reading, simdjson::dom::element content, const Limits& limits) {
  Patch patch;
  if (kind == Kind::text) {
    std::string_view text;
    if (content.get_string().get(text) != simdjson::SUCCESS) {
      return invalid_field("content", "the content of a text is a string");
    }
    patch.whole_text = std::string(text);
    return patch;
  }
  auto data = reading.object();
  simdjson::ondemand::object object;
  if (!data || data->find_field("content").get_object().get(object) != simdjson::SUCCESS) {
    return invalid_field("content", "the content is an object of objects");
  }
  auto plain = plain_of(object, limits);
  if (!plain) {
    return plain.error();
  }
  patch.whole = std::move(*plain);
  return patch;
}

Status read_text_edit(Kind kind, simdjson::dom::object data, const Limits& limits, TextEdit& edit) {
  simdjson::dom::element ops;
  if (data.at_key("ops").get(ops) != simdjson::SUCCESS) {
    return missing("ops");
  }
  Status read = edit.operation.read(ops);
  if (!read || kind == Kind::text) {
    return read;
  }
  auto id = id_of(data, true);
  if (!id) {
    return id.error();
  }
  std::string_view key = "text";
  if (simdjson::dom::element given; data.at_key("key").get(given) == simdjson::SUCCESS) {
    const bool is_key = given.get_string().get(key) == simdjson::SUCCESS && key.size() <= limits.key_bytes_max &&
                        static_cast<size_t>(std::count(key.begin(), key.end(), '.')) < limits.depth_max &&
                        (id->empty() || (key != "id" && !is_below(key, "id")));
    if (!is_key) {
      return invalid_field("key", "key is the path of a register");
    }
  }
  edit.object = std::move(*id);
  edit.key = key;
  return {};
}

// In its place from the beginning: of every operation on a text.
Result<Patch> read_text(Kind kind, simdjson::dom::object data, const Limits& limits) {
  Result<Patch> patch = Patch();
  if (auto read = read_text_edit(kind, data, limits, patch->text.emplace()); !read) {
    patch = read.error();
  }
  return patch;
}

Result<Patch> read_edit(const Shape& shape, Reading& reading, simdjson::dom::object data, std::string_view operation_id,
                        const Limits& limits) {
  Patch patch;
  Edit edit;
  edit.kind = shape.kind;
  if (simdjson::dom::element id;
      shape.kind == Edit::Kind::create && data.at_key("id").get(id) != simdjson::SUCCESS && is_valid_id(operation_id)) {
    edit.object = operation_id;
    patch.names_object = false;
  } else {
    auto given = id_of(data, shape.kind == Edit::Kind::update);
    if (!given) {
      return given.error();
    }
    edit.object = std::move(*given);
  }
  if (auto members = check_members(shape, data); !members) {
    return members.error();
  }
  auto object = reading.object();
  if (!object) {
    return object.error();
  }
  auto writes = flatten(*object, rules_for(edit.object, limits));
  if (!writes) {
    return writes.error();
  }
  if (shape.kind != Edit::Kind::remove) {
    edit.writes = std::move(*writes);
  }
  if (shape.kind == Edit::Kind::create) {
    std::erase_if(edit.writes, [](const Write& write) { return write.value.empty(); });
  }
  patch.edits.push_back(std::move(edit));
  return patch;
}

}  // namespace

bool is_below(std::string_view key, std::string_view above) {
  return key.size() > above.size() && key[above.size()] == '.' && key.starts_with(above);
}

Result<Patch> read_patch(Kind kind, std::string_view type, std::string_view data, std::string_view operation_id,
                         const Limits& limits) {
  const bool is_text = type == "text";
  const auto* const shape =
      is_text ? nullptr
              : std::find_if(kShapes.begin(), kShapes.end(), [&](const Shape& row) { return row.type == type; });
  if (shape == kShapes.end()) {
    return invalid_field("type", "there is no operation of this type");
  }
  auto reading = Reading::open(data, limits.depth_max);
  if (!reading) {
    return reading.error();
  }
  simdjson::dom::object object;
  if (reading->element().get_object().get(object) != simdjson::SUCCESS) {
    return invalid_field("data", "data is a JSON object");
  }
  if (is_text) {
    return read_text(kind, object, limits);
  }
  simdjson::dom::element content;
  simdjson::dom::element id;
  if (type == "update" && object.at_key("id").get(id) != simdjson::SUCCESS &&
      object.at_key("content").get(content) == simdjson::SUCCESS) {
    return read_whole(kind, *reading, content, limits);
  }
  if (kind == Kind::text) {
    return invalid_field("type", "a text has no objects");
  }
  return read_edit(*shape, *reading, object, operation_id, limits);
}

Result<Plain> read_content(std::string_view content, const Limits& limits) {
  // One level more than an operation's data: the one that holds the objects.
  auto reading = Reading::open(content, limits.depth_max + 1);
  if (!reading) {
    return reading.error();
  }
  auto object = reading->object();
  if (!object) {
    return invalid_field("content", "the content is an object of objects");
  }
  return plain_of(*object, limits);
}

}  // namespace tidemark::document::engine
