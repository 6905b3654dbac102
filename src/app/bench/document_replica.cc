#include "app/bench/document_replica.h"

#include <algorithm>

#include "core/json.h"

namespace tidemark::app {
namespace {

using simdjson::SUCCESS;
using simdjson::dom::element;

// `text` is UTF-8.
std::u32string code_points(std::string_view text) {
  std::u32string points;
  for (const char byte : text) {
    const auto bits = static_cast<unsigned char>(byte);
    if (bits < 0x80) {
      points += bits;
    } else if (bits >= 0xC0) {
      points += static_cast<char32_t>(bits & (bits >= 0xF0 ? 0x07 : bits >= 0xE0 ? 0x0F : 0x1F));
    } else if (!points.empty()) {
      points.back() = points.back() << 6 | (bits & 0x3F);
    }
  }
  return points;
}

std::string utf8(const std::u32string& points) {
  std::string text;
  text.reserve(points.size());
  for (const char32_t point : points) {
    if (point < 0x80) {
      text += static_cast<char>(point);
      continue;
    }
    const int tail = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    static constexpr unsigned kFirst[] = {0, 0xC0, 0xE0, 0xF0};
    text += static_cast<char>(kFirst[tail] | point >> (6 * tail));
    for (int at = tail - 1; at >= 0; --at) {
      text += static_cast<char>(0x80 | (point >> (6 * at) & 0x3F));
    }
  }
  return text;
}

Error unfit(element data) {
  return fail(Code::unavailable, "an operation arrived that does not fit the document: " + to_json(data));
}

// The members of [at, end) that begin with `prefix`, objects nested again.
template <class Iterator>
void append_members(Iterator& at, Iterator end, const std::string& prefix, std::string& out) {
  out += '{';
  for (bool first = true; at != end && at->first.starts_with(prefix); first = false) {
    out += first ? "" : ",";
    const size_t dot = at->first.find('.', prefix.size());
    append_json_string(out, std::string_view(at->first).substr(prefix.size(), dot - prefix.size()));
    out += ':';
    if (dot == std::string::npos) {
      out += at->second;
      ++at;
    } else {
      append_members(at, end, at->first.substr(0, dot + 1), out);
    }
  }
  out += '}';
}

}  // namespace

std::string_view name_of(DocumentKind kind) { return kind == DocumentKind::text ? "text" : "whiteboard"; }

Result<DocumentReplica> DocumentReplica::from_content(DocumentKind kind, element content) {
  DocumentReplica replica(kind);
  if (kind == DocumentKind::text) {
    std::string_view text;
    if (content.get(text) != SUCCESS) {
      return fail(Code::unavailable, "the content of a text is not a string");
    }
    replica.text_ = code_points(text);
    return replica;
  }
  simdjson::dom::object objects;
  if (content.get(objects) != SUCCESS) {
    return fail(Code::unavailable, "the content of a whiteboard is not an object");
  }
  for (const auto& [id, object] : objects) {
    simdjson::dom::object members;
    if (object.get(members) != SUCCESS) {
      return fail(Code::unavailable, "a whiteboard holds something that is not an object");
    }
    Registers& registers = replica.objects_[std::string(id)];
    for (const auto& [name, value] : members) {
      set(registers, std::string(name), value);
    }
  }
  return replica;
}

Status DocumentReplica::apply(std::string_view type, element data) {
  return kind_ == DocumentKind::text ? type == "text" ? apply_text(data) : unfit(data) : write(type, data);
}

Status DocumentReplica::apply_text(element data) {
  simdjson::dom::array ops;
  if (data["ops"].get(ops) != SUCCESS) {
    return unfit(data);
  }
  size_t at = 0;
  for (const element part : ops) {
    uint64_t count = 0;
    std::string_view inserted;
    if (part.get(inserted) == SUCCESS) {
      const std::u32string points = code_points(inserted);
      text_.insert(at, points);
      at += points.size();
    } else if (part.get(count) == SUCCESS && count <= text_.size() - at) {
      at += count;
    } else if (part["d"].get(count) == SUCCESS && count <= text_.size() - at) {
      text_.erase(at, count);
    } else {
      return unfit(data);
    }
  }
  return {};
}

Status DocumentReplica::write(std::string_view type, element data) {
  simdjson::dom::object members;
  std::string_view name;
  if (data.get(members) != SUCCESS || members["id"].get(name) != SUCCESS) {
    return unfit(data);
  }
  const std::string id(name);
  if (type == "delete") {
    return objects_.erase(id) == 1 ? Status() : unfit(data);
  }
  if ((type == "create") != objects_.emplace(id, Registers()).second) {
    return unfit(data);
  }
  for (const auto& [key, value] : members) {
    if (key != "id") {
      set(objects_[id], std::string(key), value);
    }
  }
  return {};
}

void DocumentReplica::set(Registers& registers, const std::string& path, element value) {
  simdjson::dom::object members;
  if (value.get(members) == SUCCESS) {
    for (const auto& [name, below] : members) {
      set(registers, path + '.' + std::string(name), below);
    }
  } else if (value.is_null()) {
    registers.erase(path);
  } else {
    registers[path] = to_json(value);
  }
}

std::string DocumentReplica::content_json() const {
  std::string json;
  if (kind_ == DocumentKind::text) {
    append_json_string(json, utf8(text_));
    return json;
  }
  json += '{';
  for (const auto& [id, registers] : objects_) {
    json += json.size() > 1 ? "," : "";
    append_json_string(json, id);
    json += ':';
    auto at = registers.begin();
    append_members(at, registers.end(), {}, json);
  }
  json += '}';
  return json;
}

}  // namespace tidemark::app
