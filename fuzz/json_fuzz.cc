// JSON: what is accepted is written again to the same value, and any UTF-8 text survives being a JSON string.
#include <string>

#include "core/json.h"
#include "fuzz.h"

namespace tidemark {
namespace {

constexpr size_t kDepth = 32;

void check_string(std::string_view text) {
  std::string json;
  append_json_string(json, text);
  simdjson::dom::parser parser;
  const auto parsed = parse_json(parser, json, kDepth);
  std::string_view back;
  TIDEMARK_CHECK(parsed.ok() && parsed->get_string().get(back) == simdjson::SUCCESS && back == text);
  for (const char c : json) {
    TIDEMARK_CHECK(static_cast<unsigned char>(c) >= 0x20);  // a log line stays one line
  }
}

}  // namespace

FUZZ_TARGET(json, bytes) {
  const uint32_t depth = 1 + fuzz::Choices(bytes).number(1) % kDepth;
  if (simdjson::validate_utf8(bytes.data(), bytes.size())) {
    check_string(bytes);
  }
  simdjson::dom::parser parser;
  const auto parsed = parse_json(parser, bytes, depth);
  if (!parsed.ok()) {
    return;
  }
  const std::string once = to_json(*parsed);
  simdjson::dom::parser other;
  const auto again = parse_json(other, once, depth);
  TIDEMARK_CHECK(again.ok());
  TIDEMARK_CHECK(to_json(*again) == once);
}

}  // namespace tidemark
