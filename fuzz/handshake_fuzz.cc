// The upgrade: whatever headers follow a good start, what is accepted has everything that RFC 6455 wants.
#include <string>

#include "fuzz.h"
#include "gateway/handshake.h"
#include "http/request_reader.h"

namespace tidemark::gateway {
namespace {

constexpr std::string_view kFirst = "GET /ws HTTP/1.1\r\nHost: localhost\r\n";
constexpr std::string_view kGood =
    "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

void check(const RequestHead& head) {
  const auto checked = check_handshake(head);
  if (const auto* const refusal = std::get_if<HandshakeRefusal>(&checked)) {
    TIDEMARK_CHECK(refusal->http_status == 400 || refusal->http_status == 405 || refusal->http_status == 426);
    TIDEMARK_CHECK(!refusal->why.empty());
    return;
  }
  const auto& request = std::get<HandshakeRequest>(checked);
  TIDEMARK_CHECK(request.key.size() == 24);
  TIDEMARK_CHECK(head[boost::beast::http::field::sec_websocket_version] == "13");
  TIDEMARK_CHECK(head.method() == boost::beast::http::verb::get && head.version() == 11);
  for (const std::string_view protocol : request.subprotocols) {
    TIDEMARK_CHECK(!protocol.empty() && protocol.find_first_of(" \t,\r\n\"") == std::string_view::npos);
  }
  const std::string answer =
      switching_protocols(request.key, request.subprotocols.empty() ? "" : request.subprotocols.front());
  TIDEMARK_CHECK(answer.find("\r\n\r\n") == answer.size() - 4);
}

}  // namespace

FUZZ_TARGET(handshake, bytes) {
  const uint32_t mode = fuzz::Choices(bytes).number(1);
  std::string text(kFirst);
  if ((mode & 1) != 0) {
    text += kGood;
  }
  text += bytes;
  text += "\r\n\r\n";
  http::RequestReader reader(http::ReaderLimits{});
  reader.put(text);
  if (reader.stage() == http::RequestReader::Stage::head_done) {
    check(reader.request().base());
  }
}

}  // namespace tidemark::gateway
