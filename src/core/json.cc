#include "core/json.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace tidemark {
namespace {

constexpr size_t kParserBytesKept = 64 * 1024;

bool needs_escape(char c) { return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\'; }

// Whether one of eight bytes does: is any the same as a quote or a backslash, or below 0x20 (haszero and hasless of
// Sean Eron Anderson's "Bit Twiddling Hacks").
bool any_needs_escape(const char* eight) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  constexpr uint64_t kHigh = 0x8080808080808080;
  uint64_t word = 0;
  std::memcpy(&word, eight, sizeof word);
  const auto zeros = [](uint64_t bytes) { return (bytes - kOnes) & ~bytes & kHigh; };
  return (zeros(word ^ kOnes * '"') | zeros(word ^ kOnes * '\\') | ((word - kOnes * 0x20) & ~word & kHigh)) != 0;
}

// How deep arrays and objects are nested: 1 for a flat one, 0 for a scalar.
size_t depth_of(simdjson::dom::element element) {
  size_t deepest = 0;
  if (element.is_array()) {
    const simdjson::dom::array array = element.get_array().value_unsafe();
    for (const simdjson::dom::element child : array) {
      deepest = std::max(deepest, depth_of(child));
    }
    return deepest + 1;
  }
  if (element.is_object()) {
    const simdjson::dom::object object = element.get_object().value_unsafe();
    for (const auto& member : object) {
      deepest = std::max(deepest, depth_of(member.value));
    }
    return deepest + 1;
  }
  return 0;
}

// A surrogate half that stands alone leaves simdjson as three bytes that are not UTF-8.
bool strings_are_utf8(simdjson::dom::element element) {
  switch (element.type()) {
    case simdjson::dom::element_type::STRING: {
      const std::string_view text = element.get_string().value_unsafe();
      return simdjson::validate_utf8(text.data(), text.size());
    }
    case simdjson::dom::element_type::ARRAY: {
      const simdjson::dom::array array = element.get_array().value_unsafe();
      for (const simdjson::dom::element child : array) {
        if (!strings_are_utf8(child)) {
          return false;
        }
      }
      return true;
    }
    case simdjson::dom::element_type::OBJECT: {
      const simdjson::dom::object object = element.get_object().value_unsafe();
      for (const auto& [name, child] : object) {
        if (!simdjson::validate_utf8(name.data(), name.size()) || !strings_are_utf8(child)) {
          return false;
        }
      }
      return true;
    }
    default: return true;
  }
}

}  // namespace

void append_number(std::string& out, int64_t number) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, end);
}

void append_json_string(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  size_t start = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (i + 8 <= text.size() && !any_needs_escape(&text[i])) {
      i += 7;
      continue;
    }
    if (!needs_escape(text[i])) {
      continue;
    }
    out.append(text, start, i - start);
    start = i + 1;
    switch (text[i]) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        out += "\\u00";
        out += kHex[static_cast<unsigned char>(text[i]) >> 4];
        out += kHex[text[i] & 15];
    }
  }
  out.append(text, start);
  out += '"';
}

Result<simdjson::dom::element> parse_json(simdjson::dom::parser& parser, std::string_view text, size_t depth_max) {
  // simdjson counts the document itself as one level.
  const size_t depth = depth_max + 1;
  if (parser.capacity() < text.size() || parser.max_depth() != depth || parser.capacity() > kParserBytesKept) {
    if (parser.allocate(std::max<size_t>(text.size(), 4096), depth) != simdjson::SUCCESS) {
      return fail(Code::unavailable, "no memory to parse this");
    }
  }
  const auto parsed = parser.parse(text.data(), text.size());
  if (parsed.error() != simdjson::SUCCESS) {
    if (parsed.error() == simdjson::DEPTH_ERROR) {
      return fail(Code::invalid_json, "nested deeper than " + std::to_string(depth_max));
    }
    return fail(Code::invalid_json, simdjson::error_message(parsed.error()));
  }
  const simdjson::dom::element element = parsed.value_unsafe();
  // simdjson does not count an empty innermost array or object.
  const auto opened = static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return c == '[' || c == '{'; }));
  if (opened > depth_max && depth_of(element) > depth_max) {
    return fail(Code::invalid_json, "nested deeper than " + std::to_string(depth_max));
  }
  if (text.find("\\u") != std::string_view::npos && !strings_are_utf8(element)) {
    return fail(Code::invalid_json, "a lone surrogate has no UTF-8");
  }
  return element;
}

std::string to_json(simdjson::dom::element element) { return simdjson::minify(element); }

}  // namespace tidemark
