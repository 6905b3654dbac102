// The server's side of the WebSocket opening handshake (RFC 6455, section 4.2), after the HTTP head has been parsed.
//
// Pure functions. Extensions are negotiated in extension.h. Path, origin, token and load are the caller's business.
#pragma once

#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/message.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tidemark::gateway {

using RequestHead = boost::beast::http::request_header<>;

// Views into the head it was read from.
struct HandshakeRequest {
  std::string_view key;                        // Sec-WebSocket-Key, well-formed
  std::vector<std::string_view> subprotocols;  // in the client's order of preference
};

// 400, 405 (answer with `Allow: GET`) or 426 (answer with `Upgrade: websocket` and `Sec-WebSocket-Version: 13`).
struct HandshakeRefusal {
  int http_status = 400;
  std::string_view why;  // a static text
};

// Whether `head` is a correct request to upgrade to WebSocket version 13.
std::variant<HandshakeRequest, HandshakeRefusal> check_handshake(const RequestHead& head);

// What the client offers in all its Sec-WebSocket-Protocol headers, trimmed, in order. Refused with 400 if an element
// is not a token (RFC 7230, 3.2.6). check_handshake() calls it.
std::variant<std::vector<std::string_view>, HandshakeRefusal> subprotocols(const RequestHead& head);

// Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455, 4.2.2).
std::string accept_key(std::string_view key);

// The whole 101 response. `subprotocol` is one of the offered ones, or empty for none; `extensions` what accept_deflate()
// said.
std::string switching_protocols(std::string_view key, std::string_view subprotocol, std::string_view extensions = {});

}  // namespace tidemark::gateway
