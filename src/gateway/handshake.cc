#include "gateway/handshake.h"

#include <openssl/evp.h>

#include <algorithm>
#include <boost/beast/http/rfc7230.hpp>
#include <optional>
#include <utility>

#include "core/ascii.h"
#include "core/result.h"

namespace tidemark::gateway {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr std::string_view kKeyGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455, 1.3
constexpr size_t kKeySize = 24;                                                // 16 bytes in base64
constexpr size_t kKeyDigits = 22;

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

bool is_alphanumeric(char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return is_alphanumeric(c) || kMarks.find(c) != std::string_view::npos;
  });
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t";
  size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) {
    return {};
  }
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

// Base64 of 16 bytes: 22 digits and two fillers. The four spare bits of the last digit are not looked at, as most
// decoders do not.
bool is_key(std::string_view key) {
  return key.size() == kKeySize && key.substr(kKeyDigits) == "==" &&
         std::all_of(key.begin(), key.begin() + kKeyDigits,
                     [](char c) { return is_alphanumeric(c) || c == '+' || c == '/'; });
}

// A list header may be spread over several lines (RFC 7230, 3.2.2).
bool lists(const RequestHead& head, http::field name, std::string_view token) {
  auto [line, end] = head.equal_range(name);
  return std::any_of(line, end, [&](const auto& field) {
    const http::token_list tokens(field.value());
    return std::any_of(tokens.begin(), tokens.end(),
                       [&](const auto& one) { return equal_ignoring_case(one, token); });
  });
}

// What comes before the header fields of the handshake itself. A body would be taken for frames.
std::optional<HandshakeRefusal> check_request(const RequestHead& head) {
  if (head.method() != http::verb::get) {
    return HandshakeRefusal{405, "method is not GET"};
  }
  if (head.version() != 11) {
    return HandshakeRefusal{400, "not HTTP/1.1"};
  }
  if (head.count(http::field::host) != 1) {
    return HandshakeRefusal{400, "Host must be present exactly once"};
  }
  if (head.count(http::field::transfer_encoding) > 0 || head.count(http::field::content_length) > 1 ||
      (head.count(http::field::content_length) == 1 && head[http::field::content_length] != "0")) {
    return HandshakeRefusal{400, "upgrade request with a body"};
  }
  return std::nullopt;
}

std::optional<HandshakeRefusal> check_upgrade(const RequestHead& head) {
  if (head.count(http::field::upgrade) > 1) {
    return HandshakeRefusal{400, "Upgrade is present twice"};
  }
  if (!lists(head, http::field::upgrade, "websocket")) {
    return HandshakeRefusal{426, "Upgrade does not name websocket"};
  }
  if (!lists(head, http::field::connection, "upgrade")) {
    return HandshakeRefusal{400, "Connection does not name upgrade"};
  }
  if (head.count(http::field::sec_websocket_version) > 1) {
    return HandshakeRefusal{400, "Sec-WebSocket-Version is present twice"};
  }
  if (head[http::field::sec_websocket_version] != "13") {
    return HandshakeRefusal{426, "Sec-WebSocket-Version is not 13"};
  }
  if (head.count(http::field::sec_websocket_key) != 1) {
    return HandshakeRefusal{400, "Sec-WebSocket-Key must be present exactly once"};
  }
  if (!is_key(view(head[http::field::sec_websocket_key]))) {
    return HandshakeRefusal{400, "Sec-WebSocket-Key is not 16 bytes in base64"};
  }
  return std::nullopt;
}

}  // namespace

std::variant<HandshakeRequest, HandshakeRefusal> check_handshake(const RequestHead& head) {
  if (auto refusal = check_request(head)) {
    return *refusal;
  }
  if (auto refusal = check_upgrade(head)) {
    return *refusal;
  }
  auto offered = subprotocols(head);
  if (auto* refusal = std::get_if<HandshakeRefusal>(&offered)) {
    return *refusal;
  }
  return HandshakeRequest{view(head[http::field::sec_websocket_key]),
                          std::get<std::vector<std::string_view>>(std::move(offered))};
}

std::variant<std::vector<std::string_view>, HandshakeRefusal> subprotocols(const RequestHead& head) {
  std::vector<std::string_view> offered;
  auto [line, end] = head.equal_range(http::field::sec_websocket_protocol);
  for (; line != end; ++line) {
    std::string_view rest = view(line->value());
    for (size_t comma = 0; comma != std::string_view::npos;) {
      comma = rest.find(',');
      std::string_view element = trimmed(rest.substr(0, comma));
      if (!is_token(element)) {
        return HandshakeRefusal{400, "Sec-WebSocket-Protocol holds something that is not a token"};
      }
      offered.push_back(element);
      rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    }
  }
  return offered;
}

std::string accept_key(std::string_view key) {
  std::string text = std::string(key).append(kKeyGuid);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int digest_size = 0;
  TIDEMARK_CHECK(EVP_Digest(text.data(), text.size(), digest, &digest_size, EVP_sha1(), nullptr) == 1);
  unsigned char base64[2 * EVP_MAX_MD_SIZE];
  int size = EVP_EncodeBlock(base64, digest, static_cast<int>(digest_size));
  return std::string(reinterpret_cast<const char*>(base64), static_cast<size_t>(size));
}

std::string switching_protocols(std::string_view key, std::string_view subprotocol, std::string_view extensions) {
  std::string response =
      "HTTP/1.1 101 Switching Protocols\r\n"
      "Upgrade: websocket\r\n"
      "Connection: Upgrade\r\n"
      "Sec-WebSocket-Accept: ";
  response.append(accept_key(key)).append("\r\n");
  if (!subprotocol.empty()) {
    response.append("Sec-WebSocket-Protocol: ").append(subprotocol).append("\r\n");
  }
  if (!extensions.empty()) {
    response.append("Sec-WebSocket-Extensions: ").append(extensions).append("\r\n");
  }
  return response.append("\r\n");
}

}  // namespace tidemark::gateway
