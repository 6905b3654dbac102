// Request: the fields of one command, checked against its row, owned (they outlive the buffer they were parsed from).
#pragma once

#include <simdjson.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/result.h"

namespace tidemark::command {

enum class FieldType : uint8_t {
  text,        // a string of at most `max` bytes
  id,          // an id of a user, device or conversation (core/ids.h)
  client_id,   // 1 to 64 characters: an idempotency key or a name for the answer
  integer,     // `min` to `max`
  boolean,
  content,     // a string, also an empty one, or a JSON object; of at most `max` bytes as JSON, kept as JSON
  object,      // a JSON object of at most `max` bytes, kept as text
  text_map,    // an object whose values are strings, at most `max` bytes as JSON, kept as text
  id_list,     // an array of at most `max` ids; in a query: separated by commas
  cursor_map,  // an object whose values are integers >= 0, at most `max` members
};

enum class Where : uint8_t { body, path, query };

struct Field {
  std::string_view name;
  FieldType type = FieldType::text;
  bool required = false;
  int64_t max = INT64_MAX;
  int64_t min = 0;
  std::string_view alias = {};  // another name that clients use; "a.b" is member b of object a
  Where where = Where::body;    // on REST
  std::string_view help = {};
  std::function<int64_t()> max_now = {};  // of a maximum that may change while the node runs; then `max` says nothing

  int64_t most() const { return max_now ? max_now() : max; }
};

using Fields = std::vector<Field>;
using CursorMap = std::vector<std::pair<std::string, int64_t>>;

class Request {
 public:
  explicit Request(const Fields& fields) : fields_(&fields), values_(fields.size()) {}

  // Whether it was given; false also for a name that the row does not know.
  bool has(std::string_view name) const;
  // Empty, zero, false where the field was not given.
  const std::string& text(std::string_view name) const;
  int64_t integer(std::string_view name, int64_t otherwise = 0) const;
  bool boolean(std::string_view name, bool otherwise = false) const;
  const std::vector<std::string>& list(std::string_view name) const;
  const CursorMap& cursors(std::string_view name) const;

  // Takes every field that the row knows from `object`; unknown ones are ignored. A known name that appears twice, a
  // null, a wrong type, an empty or over-long value: invalid_field. Does not look for what is missing.
  Status take(simdjson::dom::object object);
  // One field given as text (path or query).
  Status take_text(std::string_view name, std::string_view text);
  // missing_field for the first required field that is absent.
  Status check_complete() const;
  // Whether some field has a place in a REST body.
  bool wants_body() const;

 private:
  using Value = std::variant<std::monostate, std::string, int64_t, bool, std::vector<std::string>, CursorMap>;

  const Value& at(std::string_view name) const;
  const Field* find(std::string_view name, size_t& index) const;
  Status take_nested(simdjson::dom::object object);
  Status set(size_t index, simdjson::dom::element element);
  Status set_text(const Field& field, Value& value, std::string_view text);

  const Fields* fields_;
  std::vector<Value> values_;
};

}  // namespace tidemark::command
