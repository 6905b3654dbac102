#include "account/token_part.h"

#include <algorithm>
#include <cmath>

#include "account/base64url.h"
#include "core/ids.h"
#include "core/json.h"

namespace tidemark::account {
namespace {

using simdjson::dom::element;
using std::string_view;

constexpr size_t kDepthMax = 32;
constexpr double kLatestTime = 253402300799;  // the last second of the year 9999

Error refuse(string_view name, string_view what) {
  return fail(Code::unauthorized, "the token's " + std::string(name) + " " + std::string(what));
}

}  // namespace

Result<TokenPart> TokenPart::read(simdjson::dom::parser& parser, string_view base64url, string_view part_name,
                                  std::initializer_list<string_view> known) {
  const std::optional<std::string> json = base64url_decode(base64url);
  if (!json) {
    return refuse(part_name, "is not base64url");
  }
  const Result<element> parsed = parse_json(parser, *json, kDepthMax);
  if (!parsed) {
    return refuse(part_name, "is not valid JSON or nested deeper than " + std::to_string(kDepthMax));
  }
  simdjson::dom::object object;
  if (parsed->get(object) != simdjson::SUCCESS) {
    return refuse(part_name, "is not a JSON object");
  }
  TokenPart part;
  for (const auto& [name, value] : object) {
    const auto* const wanted = std::find(known.begin(), known.end(), name);
    if (wanted == known.end()) {
      continue;
    }
    if (part.has(name)) {
      return refuse(part_name, "contains " + std::string(*wanted) + " twice");
    }
    part.found_.emplace_back(name, value);
  }
  return part;
}

std::optional<element> TokenPart::find(string_view name) const {
  for (const auto& [found, value] : found_) {
    if (found == name) {
      return value;
    }
  }
  return std::nullopt;
}

Result<std::optional<string_view>> TokenPart::text(string_view name) const {
  const std::optional<element> value = find(name);
  if (!value) {
    return std::optional<string_view>();
  }
  string_view text;
  if (value->get(text) != simdjson::SUCCESS) {
    return refuse(name, "is not a text");
  }
  return std::optional<string_view>(text);
}

Result<std::optional<std::string>> TokenPart::id(string_view name) const {
  const auto found = text(name);
  if (!found) {
    return found.error();
  }
  if (!*found) {
    return std::optional<std::string>();
  }
  if (!is_valid_id(**found)) {
    return refuse(name, "is not 1 to " + std::to_string(kIdBytesMax) + " bytes without control characters");
  }
  return std::optional<std::string>(**found);
}

Result<std::optional<int64_t>> TokenPart::time_ms(string_view name) const {
  const std::optional<element> value = find(name);
  if (!value) {
    return std::optional<int64_t>();
  }
  double seconds = 0;
  if (value->get(seconds) != simdjson::SUCCESS) {
    return refuse(name, "is not a number");
  }
  // Written so that a NaN is refused as well.
  if (!(seconds >= 0 && seconds <= kLatestTime)) {
    return refuse(name, "is no time in seconds since 1970");
  }
  return std::optional<int64_t>(static_cast<int64_t>(std::floor(seconds * 1000)));
}

Result<std::vector<string_view>> TokenPart::texts(string_view name, Single single) const {
  const std::optional<element> value = find(name);
  std::vector<string_view> texts;
  if (!value) {
    return texts;
  }
  string_view text;
  if (single == Single::allowed && value->get(text) == simdjson::SUCCESS) {
    texts.push_back(text);
    return texts;
  }
  simdjson::dom::array array;
  if (value->get(array) != simdjson::SUCCESS) {
    return refuse(name, "is not a list of texts");
  }
  for (const element member : array) {
    if (member.get(text) != simdjson::SUCCESS) {
      return refuse(name, "is not a list of texts");
    }
    texts.push_back(text);
  }
  return texts;
}

}  // namespace tidemark::account
