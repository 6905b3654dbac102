// JSON in and out. Parsing is simdjson's; writing is plain appending to a string, which is the fastest there is.
//
// Writing: `JsonWriter w(out); w.begin(); w.field("seq", 4); w.end();`. Commas are placed by the writer.
// Reading: parse_json() with the rules that hold for every door: UTF-8, depth, no lone surrogates.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.h"

namespace tidemark {

// Appends `text` as a JSON string with its quotes. `text` must be UTF-8.
void append_json_string(std::string& out, std::string_view text);
void append_number(std::string& out, int64_t number);

// Appends one JSON object member by member. Owner: the function that made it. Does not check for repeated names.
class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}

  JsonWriter& begin() {
    out_ += '{';
    first_ = true;
    return *this;
  }
  JsonWriter& end() {
    out_ += '}';
    first_ = false;
    return *this;
  }
  JsonWriter& field(std::string_view name, std::string_view text) {
    key(name);
    append_json_string(out_, text);
    return *this;
  }
  JsonWriter& field(std::string_view name, const std::string& text) { return field(name, std::string_view(text)); }
  JsonWriter& field(std::string_view name, const char* text) { return field(name, std::string_view(text)); }
  JsonWriter& field(std::string_view name, int64_t number) {
    key(name);
    append_number(out_, number);
    return *this;
  }
  JsonWriter& field(std::string_view name, int number) { return field(name, static_cast<int64_t>(number)); }
  JsonWriter& field(std::string_view name, size_t number) { return field(name, static_cast<int64_t>(number)); }
  JsonWriter& field(std::string_view name, bool value) {
    key(name);
    out_ += value ? "true" : "false";
    return *this;
  }
  // `json` is a complete JSON value.
  JsonWriter& raw(std::string_view name, std::string_view json) {
    key(name);
    out_ += json;
    return *this;
  }
  // `members` is what stands between the braces of an object, perhaps nothing.
  JsonWriter& members(std::string_view members) {
    if (!members.empty()) {
      separate();
      out_ += members;
    }
    return *this;
  }

 private:
  void separate() {
    if (!first_) {
      out_ += ',';
    }
    first_ = false;
  }
  // Names are our own and need no escaping.
  void key(std::string_view name) {
    separate();
    out_ += '"';
    out_ += name;
    out_ += "\":";
  }

  std::string& out_;
  bool first_ = true;
};

// Parses one document with `parser`, whose buffers the returned element points into until the next parse.
// Refused with invalid_json: anything but valid UTF-8 JSON, nesting deeper than `depth_max` (1 = a flat object),
// numbers out of range, lone surrogates, which have no UTF-8.
Result<simdjson::dom::element> parse_json(simdjson::dom::parser& parser, std::string_view text, size_t depth_max);

// The element as JSON text without white space.
std::string to_json(simdjson::dom::element element);

}  // namespace tidemark
