#include "command/request.h"

#include <charconv>

#include "core/ids.h"
#include "core/json.h"

namespace tidemark::command {
namespace {

constexpr size_t kClientIdCharacters = 64;

size_t characters(std::string_view text) {
  size_t count = 0;
  for (const char c : text) {
    count += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }
  return count;
}

Error wrong(const Field& field, std::string text) { return invalid_field(field.name, std::move(text)); }

Error wrong_type(const Field& field) {
  switch (field.type) {
    case FieldType::integer: return wrong(field, "an integer is expected");
    case FieldType::boolean: return wrong(field, "true or false is expected");
    case FieldType::object:
    case FieldType::text_map:
    case FieldType::cursor_map: return wrong(field, "an object is expected");
    case FieldType::content: return wrong(field, "a string or an object is expected");
    case FieldType::id_list: return wrong(field, "an array of ids is expected");
    default: return wrong(field, "a string is expected");
  }
}

Status check_range(const Field& field, int64_t number) {
  if (number < field.min || number > field.most()) {
    return wrong(field, "must be from " + std::to_string(field.min) +
                            (field.most() == INT64_MAX ? std::string(" up") : " to " + std::to_string(field.most())));
  }
  return {};
}

}  // namespace

const Field* Request::find(std::string_view name, size_t& index) const {
  for (index = 0; index < fields_->size(); ++index) {
    const Field& field = (*fields_)[index];
    if (field.name == name || (!field.alias.empty() && field.alias == name)) {
      return &field;
    }
  }
  return nullptr;
}

const Request::Value& Request::at(std::string_view name) const {
  size_t index = 0;
  TIDEMARK_CHECK(find(name, index) != nullptr);
  return values_[index];
}

bool Request::has(std::string_view name) const {
  size_t index = 0;
  return find(name, index) != nullptr && !std::holds_alternative<std::monostate>(values_[index]);
}

const std::string& Request::text(std::string_view name) const {
  static const std::string kEmpty;
  const auto* const value = std::get_if<std::string>(&at(name));
  return value != nullptr ? *value : kEmpty;
}

int64_t Request::integer(std::string_view name, int64_t otherwise) const {
  const auto* const value = std::get_if<int64_t>(&at(name));
  return value != nullptr ? *value : otherwise;
}

bool Request::boolean(std::string_view name, bool otherwise) const {
  const auto* const value = std::get_if<bool>(&at(name));
  return value != nullptr ? *value : otherwise;
}

const std::vector<std::string>& Request::list(std::string_view name) const {
  static const std::vector<std::string> kEmpty;
  const auto* const value = std::get_if<std::vector<std::string>>(&at(name));
  return value != nullptr ? *value : kEmpty;
}

const CursorMap& Request::cursors(std::string_view name) const {
  static const CursorMap kEmpty;
  const auto* const value = std::get_if<CursorMap>(&at(name));
  return value != nullptr ? *value : kEmpty;
}

Status Request::take(simdjson::dom::object object) {
  std::vector<bool> seen(fields_->size());
  for (const auto& [name, element] : object) {
    size_t index = 0;
    const Field* const field = find(name, index);
    if (field == nullptr) {
      continue;
    }
    if (seen[index]) {
      return wrong(*field, "given twice");
    }
    seen[index] = true;
    if (element.is_null()) {
      if (field->required) {
        return Error{Code::missing_field, "required", std::string(field->name), 0};
      }
      return wrong(*field, "null is no value: leave the field out");
    }
    if (Status set_status = set(index, element); !set_status.ok()) {
      return set_status;
    }
  }
  return take_nested(object);
}

// Aliases like "data.is_typing", for fields that are not given by their own name.
Status Request::take_nested(simdjson::dom::object object) {
  for (size_t index = 0; index < fields_->size(); ++index) {
    const std::string_view alias = (*fields_)[index].alias;
    const size_t dot = alias.find('.');
    if (dot == std::string_view::npos || !std::holds_alternative<std::monostate>(values_[index])) {
      continue;
    }
    simdjson::dom::element nested;
    if (object[alias.substr(0, dot)][alias.substr(dot + 1)].get(nested) == simdjson::SUCCESS && !nested.is_null()) {
      if (Status set_status = set(index, nested); !set_status.ok()) {
        return set_status;
      }
    }
  }
  return {};
}

Status Request::set(size_t index, simdjson::dom::element element) {
  const Field& field = (*fields_)[index];
  Value& value = values_[index];
  switch (field.type) {
    case FieldType::text:
    case FieldType::id:
    case FieldType::client_id: {
      std::string_view text;
      if (element.get_string().get(text) != simdjson::SUCCESS) {
        return wrong_type(field);
      }
      return set_text(field, value, text);
    }
    case FieldType::integer: {
      int64_t number = 0;
      if (element.get_int64().get(number) != simdjson::SUCCESS) {
        return wrong_type(field);
      }
      value = number;
      return check_range(field, number);
    }
    case FieldType::boolean: {
      bool truth = false;
      if (element.get_bool().get(truth) != simdjson::SUCCESS) {
        return wrong_type(field);
      }
      value = truth;
      return {};
    }
    case FieldType::content: {
      if (!element.is_string() && !element.is_object()) {
        return wrong_type(field);
      }
      std::string json = to_json(element);
      if (static_cast<int64_t>(json.size()) > field.most()) {
        return wrong(field, "longer than " + std::to_string(field.most()) + " bytes");
      }
      value = std::move(json);
      return {};
    }
    case FieldType::object:
    case FieldType::text_map: {
      simdjson::dom::object object;
      if (element.get_object().get(object) != simdjson::SUCCESS) {
        return wrong_type(field);
      }
      for (const auto& [name, member] : object) {
        if (field.type == FieldType::text_map && !member.is_string()) {
          return wrong(field, "its values must be strings");
        }
      }
      std::string json = to_json(element);
      if (static_cast<int64_t>(json.size()) > field.most()) {
        return wrong(field, "longer than " + std::to_string(field.most()) + " bytes");
      }
      value = std::move(json);
      return {};
    }
    case FieldType::id_list: {
      simdjson::dom::array array;
      if (element.get_array().get(array) != simdjson::SUCCESS) {
        return wrong_type(field);
      }
      std::vector<std::string> ids;
      for (const simdjson::dom::element one : array) {
        std::string_view text;
        if (one.get_string().get(text) != simdjson::SUCCESS || !is_valid_id(text)) {
          return wrong(field, "must hold ids: strings of 1 to 128 bytes without control characters");
        }
        ids.emplace_back(text);
      }
      if (static_cast<int64_t>(ids.size()) > field.most()) {
        return wrong(field, "more than " + std::to_string(field.most()));
      }
      value = std::move(ids);
      return {};
    }
    case FieldType::cursor_map: {
      simdjson::dom::object object;
      if (element.get_object().get(object) != simdjson::SUCCESS) {
        return wrong_type(field);
      }
      CursorMap cursors;
      for (const auto& [name, member] : object) {
        int64_t number = 0;
        if (member.get_int64().get(number) != simdjson::SUCCESS || number < 0) {
          return wrong(field, "its values must be integers from 0 up");
        }
        cursors.emplace_back(std::string(name), number);
      }
      if (static_cast<int64_t>(cursors.size()) > field.most()) {
        return wrong(field, "more than " + std::to_string(field.most()));
      }
      value = std::move(cursors);
      return {};
    }
  }
  return {};
}

Status Request::set_text(const Field& field, Value& value, std::string_view text) {
  if (text.empty()) {
    return wrong(field, "must not be empty");
  }
  if (field.type == FieldType::id && !is_valid_id(text)) {
    return wrong(field, "an id is 1 to 128 bytes of UTF-8 without control characters");
  }
  if (field.type == FieldType::client_id && (text.size() > 4 * kClientIdCharacters || characters(text) > kClientIdCharacters)) {
    return wrong(field, "longer than 64 characters");
  }
  if (field.type == FieldType::text && static_cast<int64_t>(text.size()) > field.most()) {
    return wrong(field, "longer than " + std::to_string(field.most()) + " bytes");
  }
  value = std::string(text);
  return {};
}

Status Request::take_text(std::string_view name, std::string_view text) {
  size_t index = 0;
  const Field* const field = find(name, index);
  if (field == nullptr) {
    return {};
  }
  if (!simdjson::validate_utf8(text.data(), text.size())) {
    return wrong(*field, "not UTF-8");
  }
  Value& value = values_[index];
  switch (field->type) {
    case FieldType::integer: {
      int64_t number = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      if (error != std::errc() || end != text.data() + text.size()) {
        return wrong_type(*field);
      }
      value = number;
      return check_range(*field, number);
    }
    case FieldType::boolean:
      if (text != "true" && text != "false" && text != "1" && text != "0") {
        return wrong_type(*field);
      }
      value = text == "true" || text == "1";
      return {};
    case FieldType::id_list: {
      std::vector<std::string> ids;
      for (size_t start = 0; start <= text.size();) {
        const size_t comma = std::min(text.find(',', start), text.size());
        const std::string_view one = text.substr(start, comma - start);
        if (!is_valid_id(one)) {
          return wrong(*field, "must be ids, separated by commas");
        }
        ids.emplace_back(one);
        start = comma + 1;
      }
      if (static_cast<int64_t>(ids.size()) > field->most()) {
        return wrong(*field, "more than " + std::to_string(field->most()));
      }
      value = std::move(ids);
      return {};
    }
    default: return set_text(*field, value, text);
  }
}

Status Request::check_complete() const {
  for (size_t i = 0; i < fields_->size(); ++i) {
    if ((*fields_)[i].required && std::holds_alternative<std::monostate>(values_[i])) {
      return Error{Code::missing_field, "required", std::string((*fields_)[i].name), 0};
    }
  }
  return {};
}

bool Request::wants_body() const {
  for (const Field& field : *fields_) {
    if (field.where == Where::body) {
      return true;
    }
  }
  return false;
}

}  // namespace tidemark::command
