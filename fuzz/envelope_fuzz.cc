// A text frame: bytes → JSON → the row of its type → its fields. What a handler gets keeps every promise of the row.
#include <string>

#include "command_table.h"
#include "core/ids.h"
#include "core/json.h"
#include "fuzz.h"

namespace tidemark::command {
namespace {

constexpr size_t kDepth = 32;

bool is_utf8(std::string_view text) { return simdjson::validate_utf8(text.data(), text.size()); }

void check_field(const Field& field, const Request& request) {
  if (!request.has(field.name)) {
    TIDEMARK_CHECK(!field.required);
    return;
  }
  switch (field.type) {
    case FieldType::text:
    case FieldType::client_id: {
      const std::string& text = request.text(field.name);
      TIDEMARK_CHECK(!text.empty() && is_utf8(text));
      TIDEMARK_CHECK(static_cast<int64_t>(text.size()) <= (field.type == FieldType::text ? field.most() : 4 * 64));
      return;
    }
    case FieldType::id:
      TIDEMARK_CHECK(is_valid_id(request.text(field.name)));
      return;
    case FieldType::integer: {
      const int64_t number = request.integer(field.name);
      TIDEMARK_CHECK(number >= field.min && number <= field.most());
      return;
    }
    case FieldType::boolean:
      return;
    case FieldType::content:
    case FieldType::object:
    case FieldType::text_map: {
      simdjson::dom::parser parser;
      const std::string& json = request.text(field.name);
      TIDEMARK_CHECK(static_cast<int64_t>(json.size()) <= field.most());
      const auto again = parse_json(parser, json, kDepth);
      TIDEMARK_CHECK(again.ok() && (again->is_object() || (field.type == FieldType::content && again->is_string())));
      TIDEMARK_CHECK(to_json(*again) == json);
      return;
    }
    case FieldType::id_list:
      TIDEMARK_CHECK(static_cast<int64_t>(request.list(field.name).size()) <= field.most());
      for (const std::string& id : request.list(field.name)) {
        TIDEMARK_CHECK(is_valid_id(id));
      }
      return;
    case FieldType::cursor_map:
      TIDEMARK_CHECK(static_cast<int64_t>(request.cursors(field.name).size()) <= field.most());
      for (const auto& [name, seq] : request.cursors(field.name)) {
        TIDEMARK_CHECK(is_utf8(name) && seq >= 0);
      }
      return;
  }
}

// An object goes through the fields of the row that it names, or of a row that the first byte chooses.
const Row& row_for(simdjson::dom::object object, uint32_t choice) {
  std::string_view type;
  if (object["type"].get(type) == simdjson::SUCCESS) {
    if (const Row* const row = fuzz::command_table().by_type(type)) {
      return *row;
    }
  }
  const auto& rows = fuzz::command_table().rows();
  return rows[choice % rows.size()];
}

}  // namespace

FUZZ_TARGET(envelope, bytes) {
  const uint32_t choice = fuzz::Choices(bytes).number(1);
  simdjson::dom::parser parser;
  const auto parsed = parse_json(parser, bytes, kDepth);
  if (!parsed.ok()) {
    TIDEMARK_CHECK(!parsed.error().text.empty());
    return;
  }
  TIDEMARK_CHECK(is_utf8(bytes));
  simdjson::dom::object object;
  if (parsed->get_object().get(object) != simdjson::SUCCESS) {
    return;
  }
  const Row& row = row_for(object, choice);
  Request request(row.fields);
  Status taken = request.take(object);
  if (taken.ok()) {
    taken = request.check_complete();
  }
  if (!taken.ok()) {
    TIDEMARK_CHECK(taken.error().code == Code::missing_field || taken.error().code == Code::invalid_field);
    TIDEMARK_CHECK(!taken.error().field.empty());
    return;
  }
  for (const Field& field : row.fields) {
    check_field(field, request);
  }
}

}  // namespace tidemark::command
