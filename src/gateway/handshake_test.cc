#include "gateway/handshake.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <optional>

namespace tidemark::gateway {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";  // RFC 6455, 1.3

// A correct request, line by line, to be spoilt by the tests.
struct Request {
  std::string start = "GET /ws HTTP/1.1";
  std::vector<std::string> lines = {"Host: example.com", "Upgrade: websocket", "Connection: Upgrade",
                                    "Sec-WebSocket-Key: " + std::string(kKey), "Sec-WebSocket-Version: 13"};

  Request& add(std::string line) {
    lines.push_back(std::move(line));
    return *this;
  }
  Request& remove(std::string_view name) {
    std::erase_if(lines, [&](const std::string& line) { return line.starts_with(name); });
    return *this;
  }
  Request& replace(std::string_view name, std::string_view value) {
    return remove(name).add(std::string(name).append(": ").append(value));
  }
};

RequestHead parsed(const Request& request) {
  std::string text = request.start + "\r\n";
  for (const std::string& line : request.lines) {
    text += line + "\r\n";
  }
  text += "\r\n";
  boost::beast::http::request_parser<boost::beast::http::empty_body> parser;
  boost::beast::error_code error;
  parser.put(boost::asio::buffer(text), error);
  EXPECT_TRUE(parser.is_header_done()) << error.message();
  return parser.get().base();
}

// The HTTP status of the answer; 101 if the request is accepted.
int status_of(const Request& request) {
  RequestHead head = parsed(request);
  auto outcome = check_handshake(head);
  auto* refusal = std::get_if<HandshakeRefusal>(&outcome);
  if (refusal) {
    EXPECT_FALSE(refusal->why.empty());
  }
  return refusal ? refusal->http_status : 101;
}

std::optional<std::vector<std::string>> offered(const Request& request) {
  RequestHead head = parsed(request);
  auto outcome = check_handshake(head);
  auto* accepted = std::get_if<HandshakeRequest>(&outcome);
  if (!accepted) {
    return std::nullopt;
  }
  return std::vector<std::string>(accepted->subprotocols.begin(), accepted->subprotocols.end());
}

TEST(Handshake, AcceptsTheRequestOfTheRfc) {
  RequestHead head = parsed(Request{});
  auto outcome = check_handshake(head);
  ASSERT_TRUE(std::holds_alternative<HandshakeRequest>(outcome));
  EXPECT_EQ(std::get<HandshakeRequest>(outcome).key, kKey);
  EXPECT_THAT(std::get<HandshakeRequest>(outcome).subprotocols, IsEmpty());
}

TEST(Handshake, RefusesOtherMethods) {
  for (std::string method : {"POST", "HEAD", "PUT", "OPTIONS", "DELETE", "PATCH", "BREW"}) {
    Request request;
    request.start = method + " /ws HTTP/1.1";
    EXPECT_EQ(status_of(request), 405) << method;
  }
}

TEST(Handshake, RefusesHttp10) {
  Request request;
  request.start = "GET /ws HTTP/1.0";
  EXPECT_EQ(status_of(request), 400);
}

TEST(Handshake, WantsHostExactlyOnce) {
  EXPECT_EQ(status_of(Request().remove("Host")), 400);
  EXPECT_EQ(status_of(Request().add("Host: example.com")), 400);
}

TEST(Handshake, FindsWebsocketInUpgrade) {
  EXPECT_EQ(status_of(Request().replace("Upgrade", "WebSocket")), 101);
  EXPECT_EQ(status_of(Request().replace("Upgrade", "h2c, websocket")), 101);
  EXPECT_EQ(status_of(Request().remove("Upgrade")), 426);
  EXPECT_EQ(status_of(Request().replace("Upgrade", "h2c")), 426);
  EXPECT_EQ(status_of(Request().replace("Upgrade", "websockets")), 426);
  EXPECT_EQ(status_of(Request().replace("Upgrade", "")), 426);
  EXPECT_EQ(status_of(Request().add("Upgrade: websocket")), 400);
}

TEST(Handshake, FindsUpgradeInConnection) {
  EXPECT_EQ(status_of(Request().replace("Connection", "upgrade")), 101);
  EXPECT_EQ(status_of(Request().replace("Connection", "keep-alive,  UPGRADE")), 101);
  EXPECT_EQ(status_of(Request().add("Connection: keep-alive")), 101);
  EXPECT_EQ(status_of(Request().replace("Connection", "keep-alive").add("Connection: Upgrade")), 101);
  EXPECT_EQ(status_of(Request().remove("Connection")), 400);
  EXPECT_EQ(status_of(Request().replace("Connection", "keep-alive")), 400);
  EXPECT_EQ(status_of(Request().replace("Connection", "upgraded")), 400);
}

TEST(Handshake, WantsVersion13ExactlyOnce) {
  EXPECT_EQ(status_of(Request().remove("Sec-WebSocket-Version")), 426);
  for (std::string_view version : {"", "8", "12", "14", "013", "13.0", "13, 8", "x"}) {
    EXPECT_EQ(status_of(Request().replace("Sec-WebSocket-Version", version)), 426) << version;
  }
  EXPECT_EQ(status_of(Request().add("Sec-WebSocket-Version: 13")), 400);
  EXPECT_EQ(status_of(Request().add("Sec-WebSocket-Version: 8")), 400);
}

TEST(Handshake, WantsAKeyOf16BytesExactlyOnce) {
  EXPECT_EQ(status_of(Request().remove("Sec-WebSocket-Key")), 400);
  EXPECT_EQ(status_of(Request().add("Sec-WebSocket-Key: " + std::string(kKey))), 400);
  EXPECT_EQ(status_of(Request().replace("Sec-WebSocket-Key", "+/+/+/+/+/+/+/+/+/+/+w==")), 101);
  EXPECT_EQ(status_of(Request().replace("Sec-WebSocket-Key", "  AAAAAAAAAAAAAAAAAAAAAA==  ")), 101);
  for (std::string_view key : {
           "",
           "dGhlIHNhbXBsZSBub25j",       // 15 bytes
           "dGhlIHNhbXBsZSBub25jZWU=",   // 17 bytes
           "dGhlIHNhbXBsZSBub25jZWVl",   // 18 bytes
           "dGhlIHNhbXBsZSBub25jZQ",     // fillers missing
           "dGhlIHNhbXBsZSBub25jZQ===",  // one filler too many
           "dGhlIHNhbXBsZSBub25jZ===",   // not a number of bytes
           "dGhlIHNhbXBs=SBub25jZQ==",   // filler inside
           "dGhlIHNhbXBs SBub25jZQ==",   // blank inside
           "dGhlIHNhbXBs-_Bub25jZQ==",   // the other alphabet
           "dGhlIHNhbXBsZSBub25jZQ==x",  // something behind
           "the sample nonce",           // not base64
       }) {
    EXPECT_EQ(status_of(Request().replace("Sec-WebSocket-Key", key)), 400) << key;
  }
}

TEST(Handshake, RefusesABody) {
  EXPECT_EQ(status_of(Request().add("Content-Length: 0")), 101);
  EXPECT_EQ(status_of(Request().add("Content-Length: 5")), 400);
  EXPECT_EQ(status_of(Request().add("Transfer-Encoding: chunked")), 400);
}

TEST(Handshake, ReadsSubprotocolsInOrderFromAllLines) {
  Request request;
  request.add("Sec-WebSocket-Protocol: tidemark.v1,bearer.eyJh.e30.x-_Y")
      .add("Sec-WebSocket-Protocol: \t third ,  fourth");
  auto names = offered(request);
  ASSERT_TRUE(names.has_value());
  EXPECT_THAT(*names, ElementsAre("tidemark.v1", "bearer.eyJh.e30.x-_Y", "third", "fourth"));
}

TEST(Handshake, RefusesSubprotocolsThatAreNotTokens) {
  for (std::string_view value :
       {"", ",", "a,", ",a", "a,,b", "a b", "a/b", "\"a\"", "a;q=1", "caf\xC3\xA9", "a, b@c"}) {
    EXPECT_EQ(status_of(Request().replace("Sec-WebSocket-Protocol", value)), 400) << value;
  }
}

TEST(Handshake, ComputesTheAcceptKeyOfTheRfc) { EXPECT_EQ(accept_key(kKey), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); }

TEST(Handshake, WritesTheResponse) {
  EXPECT_EQ(switching_protocols(kKey, ""),
            "HTTP/1.1 101 Switching Protocols\r\n"
            "Upgrade: websocket\r\n"
            "Connection: Upgrade\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
            "\r\n");
  EXPECT_THAT(switching_protocols(kKey, "tidemark.v1"),
              testing::EndsWith("\r\nSec-WebSocket-Protocol: tidemark.v1\r\n\r\n"));
}

TEST(Handshake, NeverNegotiatesExtensions) {
  EXPECT_EQ(status_of(Request().add("Sec-WebSocket-Extensions: permessage-deflate")), 101);
  EXPECT_THAT(switching_protocols(kKey, "tidemark.v1"), testing::Not(testing::HasSubstr("Extensions")));
}

}  // namespace
}  // namespace tidemark::gateway
