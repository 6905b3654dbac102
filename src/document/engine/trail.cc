#include "document/engine/trail.h"

#include <utility>

#include "core/json.h"

namespace tidemark::document::engine {

const TextEdit* Trail::find(std::string_view object, std::string_view key) const {
  for (const TextEdit& text : texts) {
    if (text.object == object && text.key == key) {
      return &text;
    }
  }
  return nullptr;
}

std::string Trail::json() const {
  if (texts.empty()) {
    return {};
  }
  std::string out = "{\"seen\":";
  append_number(out, static_cast<int64_t>(seen));
  out += ",\"texts\":[";
  for (const TextEdit& text : texts) {
    out += out.back() == '[' ? "" : ",";
    out += data_of(text, Kind::objects);
  }
  out += "]}";
  return out;
}

Result<Trail> Trail::parse(std::string_view json) {
  Trail trail;
  if (json.empty()) {
    return trail;
  }
  const Error bad = fail(Code::internal, "that is no trail of an operation");
  static thread_local simdjson::dom::parser parser;
  const auto root = parse_json(parser, json, 6);
  simdjson::dom::array texts;
  if (!root || (*root)["seen"].get_uint64().get(trail.seen) != simdjson::SUCCESS ||
      (*root)["texts"].get_array().get(texts) != simdjson::SUCCESS) {
    return bad;
  }
  for (const simdjson::dom::element text : texts) {
    std::string_view object;
    std::string_view key;
    simdjson::dom::element ops;
    if (text["id"].get_string().get(object) != simdjson::SUCCESS ||
        text["key"].get_string().get(key) != simdjson::SUCCESS || text["ops"].get(ops) != simdjson::SUCCESS) {
      return bad;
    }
    auto operation = TextOperation::parse(ops);
    if (!operation) {
      return bad;
    }
    trail.texts.push_back({std::string(object), std::string(key), std::move(*operation)});
  }
  return trail;
}

}  // namespace tidemark::document::engine
