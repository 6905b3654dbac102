#include "rpc/peer.h"

#include <algorithm>
#include <charconv>

#include "command/table.h"
#include "core/address.h"

namespace tidemark::rpc {

Peer parse_peer(std::string_view text) {
  Peer peer;
  const size_t scheme = text.find(':');
  if (scheme == std::string_view::npos || !text.starts_with("ipv")) {
    return peer;
  }
  const auto decoded = command::percent_decode(text.substr(scheme + 1), false);
  const size_t colon = decoded ? decoded->rfind(':') : std::string::npos;
  if (colon == std::string::npos) {
    return peer;
  }
  std::string host = decoded->substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  host.resize(std::min(host.size(), host.find('%')));
  const auto address = parse_address(host);
  if (!address) {
    return peer;
  }
  peer.address = unmapped(*address).to_string();
  peer.loopback = unmapped(*address).is_loopback();
  std::from_chars(decoded->data() + colon + 1, decoded->data() + decoded->size(), peer.port);
  return peer;
}

}  // namespace tidemark::rpc
