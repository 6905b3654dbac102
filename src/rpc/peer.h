// Who is at the other end of a gRPC connection, as gRPC writes it. Pure.
#pragma once

#include <string>
#include <string_view>

namespace tidemark::rpc {

struct Peer {
  std::string address;  // without brackets, port and zone; empty: it has none
  int port = 0;
  bool loopback = false;
};

// "ipv4:127.0.0.1:4711", "ipv6:%5B::1%5D:4711", "unix:/path".
Peer parse_peer(std::string_view text);

}  // namespace tidemark::rpc
