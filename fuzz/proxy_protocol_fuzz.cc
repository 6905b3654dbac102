// The PROXY header in front of a connection: the verdict does not change when more bytes arrive behind it, and it asks
// for more only when more could change it.
#include <boost/asio/ip/address.hpp>
#include <string>

#include "fuzz.h"
#include "http/proxy_protocol.h"

namespace tidemark::http {
namespace {

using Kind = ProxyHeader::Kind;

bool same(const ProxyHeader& a, const ProxyHeader& b) {
  return a.kind == b.kind && (a.kind != Kind::found || (a.bytes == b.bytes && a.client == b.client));
}

void check(const ProxyHeader& header, std::string_view bytes) {
  if (header.kind == Kind::need_more) {
    TIDEMARK_CHECK(header.bytes > bytes.size() && header.bytes <= kProxyHeaderBytesMax);
  }
  if (header.kind == Kind::found) {
    TIDEMARK_CHECK(header.bytes > 0 && header.bytes <= std::min(bytes.size(), kProxyHeaderBytesMax));
    if (header.client) {
      boost::system::error_code error;
      boost::asio::ip::make_address(header.client->ip, error);
      TIDEMARK_CHECK(!error && header.client->port >= 0 && header.client->port <= 65535);
    }
  }
}

}  // namespace

FUZZ_TARGET(proxy_protocol, bytes) {
  const ProxyHeader whole = parse_proxy_header(bytes);
  check(whole, bytes);
  const size_t longest = std::min(bytes.size(), kProxyHeaderBytesMax);
  for (size_t size = 0; size <= longest; ++size) {
    const ProxyHeader part = parse_proxy_header(bytes.substr(0, size));
    check(part, bytes.substr(0, size));
    TIDEMARK_CHECK(part.kind == Kind::need_more || same(part, whole));
  }
  if (whole.kind == Kind::found) {
    TIDEMARK_CHECK(same(parse_proxy_header(bytes.substr(0, whole.bytes)), whole));
  }
}

}  // namespace tidemark::http
