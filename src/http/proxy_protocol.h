// The PROXY protocol, versions 1 and 2: what a proxy says in front of a connection's first byte about whose it is.
// Source: haproxy, doc/proxy-protocol.txt, sections 2.1 and 2.2. Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tidemark::http {

struct Peer {
  std::string ip;
  int port = 0;
  friend bool operator==(const Peer&, const Peer&) = default;
};

struct ProxyHeader {
  enum class Kind : uint8_t {
    need_more,  // what is here may be the beginning of one
    none,       // the bytes are no PROXY header
    bad,        // they are one, and not a correct one
    found,
  };
  Kind kind = Kind::need_more;
  size_t bytes = 0;            // found: its length; need_more: how many bytes there must at least be to know more
  std::optional<Peer> client;  // found: none where the proxy speaks for itself or does not know
};

inline constexpr size_t kProxyHeaderBytesMax = 1024;  // of version 2 with its extensions, which are passed over

// `bytes` is what a connection has sent so far; at most kProxyHeaderBytesMax of it are looked at.
ProxyHeader parse_proxy_header(std::string_view bytes);

}  // namespace tidemark::http
