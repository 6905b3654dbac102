// Base64url without padding (RFC 4648 section 5), the alphabet of JWS and JWK (RFC 7515 appendix C).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tidemark::account {

std::string base64url_encode(std::string_view bytes);

// Strict: nothing for padding, white space, the characters of plain base64, an impossible length, or bits left over
// in the last character that are not zero. So one byte string has exactly one text, and a token whose last character
// was changed is not the same token.
std::optional<std::string> base64url_decode(std::string_view text);

}  // namespace tidemark::account
