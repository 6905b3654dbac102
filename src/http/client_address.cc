#include "http/client_address.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <vector>

namespace tidemark::http {
namespace {

constexpr std::string_view kForwardedFor = "X-Forwarded-For";

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
    text.remove_prefix(1);
  }
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
    text.remove_suffix(1);
  }
  return text;
}

struct Hop {
  Address address;
  int port = 0;
};

// "192.0.2.1", "2001:db8::1", and with a port "192.0.2.1:80", "[2001:db8::1]:80".
std::optional<Hop> hop_of(std::string_view text) {
  std::string_view host = text;
  std::string_view port;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) {
      return std::nullopt;
    }
    host = text.substr(1, end - 1);
    port = text.substr(end + 1);
  } else if (text.find(':') != std::string_view::npos && text.find(':') == text.rfind(':')) {
    host = text.substr(0, text.find(':'));
    port = text.substr(text.find(':'));
  }
  const auto address = parse_address(host);
  if (!address) {
    return std::nullopt;
  }
  Hop hop{*address, 0};
  if (!port.empty()) {
    const auto [end, failed] = std::from_chars(port.begin() + 1, port.end(), hop.port);
    if (port.front() != ':' || failed != std::errc() || end != port.end() || hop.port < 0 || hop.port > 65535) {
      return std::nullopt;
    }
  }
  return hop;
}

}  // namespace

Peer client_of(const boost::beast::http::fields& head, Peer peer, const Networks& trusted) {
  const auto from = parse_address(peer.ip);
  if (trusted.empty() || !from || !trusted.contains(*from)) {
    return peer;
  }
  std::vector<std::string_view> hops;  // several headers are one list in their order (RFC 9110, 5.3)
  const auto [first, last] = head.equal_range(kForwardedFor);
  for (auto field = first; field != last; ++field) {
    std::string_view list = field->value();
    while (!list.empty()) {
      const size_t end = std::min(list.find(','), list.size());
      if (const std::string_view hop = trimmed(list.substr(0, end)); !hop.empty()) {
        hops.push_back(hop);  // empty elements mean nothing (RFC 9110, 5.6.1)
      }
      list.remove_prefix(std::min(end + 1, list.size()));
    }
  }
  while (!hops.empty()) {
    const auto hop = hop_of(hops.back());
    if (!hop) {
      break;
    }
    peer = {hop->address.to_string(), hop->port};
    if (!trusted.contains(hop->address)) {
      break;
    }
    hops.pop_back();
  }
  return peer;
}

ProxyHeader take_proxy_header(int socket) {
  char bytes[kProxyHeaderBytesMax];
  const ssize_t got = ::recv(socket, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
    return {ProxyHeader::Kind::need_more, 0, {}};
  }
  if (got <= 0) {
    return {ProxyHeader::Kind::bad, 0, {}};
  }
  ProxyHeader header = parse_proxy_header({bytes, static_cast<size_t>(got)});
  int low_water = 1;
  if (header.kind == ProxyHeader::Kind::need_more) {
    low_water = static_cast<int>(header.bytes);
  } else if (header.kind == ProxyHeader::Kind::found &&
             ::recv(socket, bytes, header.bytes, MSG_DONTWAIT) != static_cast<ssize_t>(header.bytes)) {
    header.kind = ProxyHeader::Kind::bad;
  }
  ::setsockopt(socket, SOL_SOCKET, SO_RCVLOWAT, &low_water, sizeof low_water);
  return header;
}

}  // namespace tidemark::http
