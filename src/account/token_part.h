// The header or the payload of a JWT: base64url, JSON, and typed access to the members that are known.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"

namespace tidemark::account {

// Life: of one verification. Points into the parser it was read with, until that parses again.
// Every error is unauthorized with a text that names the member and holds nothing of the token. A reader of a member
// that is missing gives nothing (or no texts); `null` is a wrong type.
class TokenPart {
 public:
  // `part_name` is for error texts. Refused: what is not base64url of a JSON object, nesting deeper than 32, one of
  // `known` twice (under whatever escapes). Other members are passed over.
  static Result<TokenPart> read(simdjson::dom::parser& parser, std::string_view base64url, std::string_view part_name,
                                std::initializer_list<std::string_view> known);

  bool has(std::string_view name) const { return find(name).has_value(); }

  Result<std::optional<std::string_view>> text(std::string_view name) const;

  // A text that is_valid_id (core/ids.h).
  Result<std::optional<std::string>> id(std::string_view name) const;

  // A NumericDate (RFC 7519 section 2), which may have a fraction, in milliseconds. Refused before 1970 and after the
  // year 9999: whoever writes milliseconds would make a token that never expires.
  Result<std::optional<int64_t>> time_ms(std::string_view name) const;

  // An array of texts; with Single::allowed also one bare text.
  enum class Single : bool { refused, allowed };
  Result<std::vector<std::string_view>> texts(std::string_view name, Single single) const;

 private:
  std::optional<simdjson::dom::element> find(std::string_view name) const;

  std::vector<std::pair<std::string_view, simdjson::dom::element>> found_;
};

}  // namespace tidemark::account
