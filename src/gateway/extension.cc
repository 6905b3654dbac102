#include "gateway/extension.h"

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <optional>

#include "core/deflate.h"

namespace tidemark::gateway {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr char kDeflate[] = "permessage-deflate";
constexpr char kServerNoContext[] = "server_no_context_takeover";
constexpr char kClientNoContext[] = "client_no_context_takeover";
constexpr char kServerWindow[] = "server_max_window_bits";
constexpr char kClientWindow[] = "client_max_window_bits";
constexpr int kWindowBitsMin = 8;
constexpr int kWindowBitsMax = 15;

// A decimal number from 8 to 15 without leading zeros (RFC 7692, 7.1.2).
std::optional<int> window_bits(beast::string_view text) {
  int bits = 0;
  for (const char c : text) {
    if (c < '0' || c > '9' || (bits == 0 && c == '0') || bits > kWindowBitsMax) {
      return std::nullopt;
    }
    bits = bits * 10 + (c - '0');
  }
  return bits >= kWindowBitsMin && bits <= kWindowBitsMax ? std::optional(bits) : std::nullopt;
}

bool acceptable(const http::param_list& parameters) {
  unsigned seen = 0;
  for (const auto& [name, value] : parameters) {
    unsigned bit = 0;
    bool valid = false;
    if (name == kServerNoContext || name == kClientNoContext) {
      bit = name == kServerNoContext ? 1 : 2;
      valid = value.empty();
    } else if (name == kServerWindow) {
      bit = 4;
      const auto bits = window_bits(value);
      valid = bits && *bits >= kDeflateWindowBits;
    } else if (name == kClientWindow) {
      bit = 8;
      valid = value.empty() || window_bits(value);
    }
    if (!valid || (seen & bit) != 0) {
      return false;
    }
    seen |= bit;
  }
  return true;
}

}  // namespace

std::string accept_deflate(const RequestHead& head) {
  auto [line, end] = head.equal_range(http::field::sec_websocket_extensions);
  for (; line != end; ++line) {
    for (const auto& [name, parameters] : http::ext_list(line->value())) {
      if (beast::iequals(name, kDeflate) && acceptable(parameters)) {
        return std::string(kDeflate) + "; " + kServerNoContext + "; " + kClientNoContext + "; " + kServerWindow + "=" +
               std::to_string(kDeflateWindowBits);
      }
    }
  }
  return {};
}

}  // namespace tidemark::gateway
