#include "document/engine/flatten.h"

#include <algorithm>
#include <utility>

#include "core/json.h"

namespace tidemark::document::engine {
namespace {

using simdjson::ondemand::json_type;
using simdjson::ondemand::value;

// Only for what was found valid before: cannot happen.
Error unreadable() { return fail(Code::invalid_json, "cannot be read"); }

Error too_deep(size_t depth_max) { return fail(Code::invalid_json, "nested deeper than " + std::to_string(depth_max)); }

std::string_view without_space(std::string_view token) {
  while (!token.empty() && std::string_view(" \t\r\n").find(token.back()) != std::string_view::npos) {
    token.remove_suffix(1);
  }
  return token;
}

Status append_value(value json, size_t depth_left, std::string& out);

Status append_array(simdjson::ondemand::array list, size_t depth_left, std::string& out) {
  out += '[';
  bool first = true;
  for (auto item : list) {
    value json;
    if (std::move(item).get(json) != simdjson::SUCCESS) {  // NOLINT(performance-move-const-arg): an rvalue is asked for
      return unreadable();
    }
    out += first ? "" : ",";
    first = false;
    if (auto appended = append_value(json, depth_left, out); !appended) {
      return appended;
    }
  }
  out += ']';
  return {};
}

Status append_object(simdjson::ondemand::object object, size_t depth_left, std::string& out) {
  std::vector<std::pair<std::string, std::string>> members;
  for (auto field : object) {
    std::string_view name;
    value json;
    if (field.unescaped_key().get(name) != simdjson::SUCCESS || field.value().get(json) != simdjson::SUCCESS) {
      return unreadable();
    }
    auto& member = members.emplace_back(name, std::string());
    if (auto appended = append_value(json, depth_left, member.second); !appended) {
      return appended;
    }
  }
  std::sort(members.begin(), members.end());
  out += '{';
  for (size_t i = 0; i < members.size(); ++i) {
    if (i > 0 && members[i].first == members[i - 1].first) {
      return invalid_field(members[i].first, "is named twice in one object");
    }
    out += i > 0 ? "," : "";
    append_json_string(out, members[i].first);
    out += ':';
    out += members[i].second;
  }
  out += '}';
  return {};
}

// Appends the canonical form.
Status append_value(value json, size_t depth_left, std::string& out) {
  json_type type;
  if (json.type().get(type) != simdjson::SUCCESS) {
    return unreadable();
  }
  if (type == json_type::array || type == json_type::object) {
    if (depth_left == 0) {
      return fail(Code::invalid_json, "nested too deeply");
    }
    simdjson::ondemand::array list;
    simdjson::ondemand::object object;
    if (type == json_type::array) {
      return json.get_array().get(list) == simdjson::SUCCESS ? append_array(list, depth_left - 1, out) : unreadable();
    }
    return json.get_object().get(object) == simdjson::SUCCESS ? append_object(object, depth_left - 1, out)
                                                              : unreadable();
  }
  if (type == json_type::string) {
    std::string_view text;
    if (json.get_string().get(text) != simdjson::SUCCESS) {
      return unreadable();
    }
    append_json_string(out, text);
    return {};
  }
  out += without_space(json.raw_json_token());  // numbers stay as they were written
  return {};
}

bool collide(const std::vector<Write>& ordered, const Write& write) {
  for (size_t dot = write.key.find('.'); dot != std::string::npos; dot = write.key.find('.', dot + 1)) {
    const std::string_view above = std::string_view(write.key).substr(0, dot);
    const auto at = std::lower_bound(ordered.begin(), ordered.end(), above,
                                     [](const Write& other, std::string_view key) { return other.key < key; });
    if (at != ordered.end() && at->key == above) {
      return true;
    }
  }
  return false;
}

}  // namespace

Result<Reading> Reading::open(std::string_view text, size_t depth_max) {
  static thread_local simdjson::dom::parser parser;
  const auto element = parse_json(parser, text, depth_max);
  if (!element) {
    return element.error();
  }
  Reading reading;
  reading.text_ = text;
  reading.element_ = *element;
  return reading;
}

Result<simdjson::ondemand::object> Reading::object() {
  static thread_local simdjson::ondemand::parser parser;
  padded_ = std::make_unique<simdjson::padded_string>(text_);
  document_ = std::make_unique<simdjson::ondemand::document>();
  simdjson::ondemand::object object;
  if (parser.iterate(*padded_).get(*document_) != simdjson::SUCCESS ||
      document_->get_object().get(object) != simdjson::SUCCESS) {
    return invalid_field("data", "is not a JSON object");
  }
  return object;
}

Status flatten_value(value json, std::string& path, size_t segments, const FlattenRules& rules,
                     std::vector<Write>& writes) {
  if (path.size() > rules.key_bytes_max) {
    return invalid_field(path.substr(0, 64), "a path is longer than " + std::to_string(rules.key_bytes_max) + " bytes");
  }
  json_type type;
  if (json.type().get(type) != simdjson::SUCCESS) {
    return unreadable();
  }
  if (segments > rules.depth_max) {
    return too_deep(rules.depth_max);
  }
  if (type == json_type::null) {
    writes.push_back({path, {}});
    return {};
  }
  if (type != json_type::object) {
    Write write{path, {}};
    auto appended = append_value(json, rules.depth_max - segments, write.value);
    writes.push_back(std::move(write));
    return appended;
  }
  simdjson::ondemand::object object;
  if (json.get_object().get(object) != simdjson::SUCCESS) {
    return unreadable();
  }
  bool any = false;
  for (auto field : object) {
    std::string_view name;
    value member;
    if (field.unescaped_key().get(name) != simdjson::SUCCESS || field.value().get(member) != simdjson::SUCCESS) {
      return unreadable();
    }
    any = true;
    const size_t size = path.size();
    path += '.';
    path += name;
    const auto dots = static_cast<size_t>(std::count(name.begin(), name.end(), '.'));
    auto flattened = flatten_value(member, path, segments + 1 + dots, rules, writes);
    path.resize(size);
    if (!flattened) {
      return flattened;
    }
  }
  if (!any) {
    writes.push_back({path, "{}"});
  }
  return {};
}

Status order_writes(std::vector<Write>& writes, bool nested) {
  std::sort(writes.begin(), writes.end(), [](const Write& a, const Write& b) { return a.key < b.key; });
  for (size_t i = 0; i < writes.size(); ++i) {
    if (i > 0 && writes[i].key == writes[i - 1].key) {
      return invalid_field(writes[i].key, "is written twice");
    }
    if (nested && collide(writes, writes[i])) {
      return invalid_field(writes[i].key, "and what is above it are both written");
    }
  }
  return {};
}

Result<std::vector<Write>> flatten(simdjson::ondemand::object object, const FlattenRules& rules) {
  std::vector<Write> writes;
  bool has_id = false;
  for (auto field : object) {
    std::string_view name;
    value json;
    if (field.unescaped_key().get(name) != simdjson::SUCCESS || field.value().get(json) != simdjson::SUCCESS) {
      return unreadable();
    }
    if (name == "id") {
      std::string_view id;
      if (std::exchange(has_id, true) || json.get_string().get(id) != simdjson::SUCCESS || id != rules.id) {
        return invalid_field("id", "is not that of the object, or is named twice");
      }
      continue;
    }
    std::string path(name);
    const size_t segments = 1 + static_cast<size_t>(rules.nested ? std::count(name.begin(), name.end(), '.') : 0);
    if (rules.nested && is_below(name, "id")) {
      return invalid_field(path, "an id has nothing below it");
    }
    json_type type;
    if (!rules.nested && json.type().get(type) == simdjson::SUCCESS && type == json_type::object) {
      return invalid_field(path, "the root object holds no objects");
    }
    if (auto flattened = flatten_value(json, path, segments, rules, writes); !flattened) {
      return flattened.error();
    }
  }
  auto ordered = order_writes(writes, rules.nested);
  return ordered ? Result<std::vector<Write>>(std::move(writes)) : ordered.error();
}

}  // namespace tidemark::document::engine
