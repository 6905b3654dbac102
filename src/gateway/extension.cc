#include "gateway/extension.h"

#include <algorithm>
#include <boost/beast/http/rfc7230.hpp>
#include <iterator>
#include <optional>

#include "core/ascii.h"
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

beast::string_view trimmed(beast::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) {
    text.remove_prefix(1);
  }
  while (!text.empty() && blank(text.back())) {
    text.remove_suffix(1);
  }
  return text;
}

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

// `text` is what stands behind the name: "; name; name=value".
bool acceptable(beast::string_view text) {
  const http::param_list parameters(text);
  // The list ends in silence at what is no parameter.
  if (std::distance(parameters.begin(), parameters.end()) != std::count(text.begin(), text.end(), ';')) {
    return false;
  }
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
    // Not Boost's ext_list: it loses a parameter without a value before a comma, and gives an offer without parameters
    // those of the offer before it.
    beast::string_view rest = line->value();
    for (size_t comma = 0; comma != beast::string_view::npos;) {
      comma = rest.find(',');
      const beast::string_view offer = rest.substr(0, comma);
      const size_t name_end = std::min(offer.find(';'), offer.size());
      if (equal_ignoring_case(trimmed(offer.substr(0, name_end)), kDeflate) && acceptable(offer.substr(name_end))) {
        return std::string(kDeflate) + "; " + kServerNoContext + "; " + kClientNoContext + "; " + kServerWindow + "=" +
               std::to_string(kDeflateWindowBits);
      }
      rest.remove_prefix(comma == beast::string_view::npos ? rest.size() : comma + 1);
    }
  }
  return {};
}

}  // namespace tidemark::gateway
