#include "http/proxy_protocol.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/address.h"

namespace tidemark::http {
namespace {

using Kind = ProxyHeader::Kind;

constexpr std::string_view kText = "PROXY ";
constexpr std::string_view kBinary("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr size_t kTextBytesMax = 107;   // the longest line of version 1, with its line end
constexpr size_t kBinaryFixedBytes = 16;
constexpr size_t kTcp4Bytes = 12;
constexpr size_t kTcp6Bytes = 36;

ProxyHeader bad() { return {Kind::bad, 0, {}}; }

// The part up to the next space, which goes too; the whole rest if there is none.
std::string_view take_word(std::string_view& text) {
  const size_t end = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

std::optional<int> port_of(std::string_view text) {
  int port = -1;
  const auto [end, failed] = std::from_chars(text.begin(), text.end(), port);
  const bool plain = !text.empty() && text.front() >= '0' && text.front() <= '9' && (text.size() == 1 || text[0] != '0');
  return plain && failed == std::errc() && end == text.end() && port <= 65535 ? std::optional(port) : std::nullopt;
}

// An address in the family that the line has named.
std::optional<Address> address_of(std::string_view text, bool v6) {
  const bool looks_v6 = text.find(':') != std::string_view::npos;
  return looks_v6 == v6 ? parse_address(text) : std::nullopt;
}

ProxyHeader parse_text(std::string_view bytes) {
  const size_t end = bytes.substr(0, kTextBytesMax).find("\r\n");
  if (end == std::string_view::npos) {
    return bytes.size() >= kTextBytesMax ? bad() : ProxyHeader{Kind::need_more, bytes.size() + 1, {}};
  }
  ProxyHeader header{Kind::found, end + 2, {}};
  std::string_view line = bytes.substr(kText.size(), end - kText.size());
  const std::string_view family = take_word(line);
  if (family == "UNKNOWN") {
    return header;
  }
  if (family != "TCP4" && family != "TCP6") {
    return bad();
  }
  const bool v6 = family == "TCP6";
  const auto source = address_of(take_word(line), v6);
  const auto destination = address_of(take_word(line), v6);
  const auto source_port = port_of(take_word(line));
  // What is left is the last word: anything behind it makes it no number.
  const auto destination_port = port_of(line);
  if (!source || !destination || !source_port || !destination_port) {
    return bad();
  }
  header.client = Peer{source->to_string(), *source_port};
  return header;
}

int big_endian(std::string_view bytes) {
  return static_cast<unsigned char>(bytes[0]) << 8 | static_cast<unsigned char>(bytes[1]);
}

template <size_t N>
std::array<unsigned char, N> array_of(std::string_view bytes) {
  std::array<unsigned char, N> array;
  std::copy_n(bytes.begin(), N, array.begin());
  return array;
}

ProxyHeader parse_binary(std::string_view bytes) {
  if (bytes.size() < kBinaryFixedBytes) {
    return {Kind::need_more, kBinaryFixedBytes, {}};
  }
  const int version = static_cast<unsigned char>(bytes[12]) >> 4;
  const int command = bytes[12] & 0x0f;
  const int family = static_cast<unsigned char>(bytes[13]);
  const size_t size = kBinaryFixedBytes + static_cast<size_t>(big_endian(bytes.substr(14)));
  if (version != 2 || command > 1 || size > kProxyHeaderBytesMax) {
    return bad();
  }
  if (bytes.size() < size) {
    return {Kind::need_more, size, {}};
  }
  ProxyHeader header{Kind::found, size, {}};
  const std::string_view addresses = bytes.substr(kBinaryFixedBytes, size - kBinaryFixedBytes);
  constexpr int kUnspecified = 0x00;
  constexpr int kTcp4 = 0x11;
  constexpr int kTcp6 = 0x21;
  constexpr int kUnixStream = 0x31;
  if (command == 0 || family == kUnspecified || family == kUnixStream) {
    return header;  // the proxy's own connection (a health check), or an address that is none here
  }
  if (family == kTcp4 && addresses.size() >= kTcp4Bytes) {
    const boost::asio::ip::address_v4 source(array_of<4>(addresses));
    header.client = Peer{source.to_string(), big_endian(addresses.substr(8))};
    return header;
  }
  if (family == kTcp6 && addresses.size() >= kTcp6Bytes) {
    const boost::asio::ip::address_v6 source(array_of<16>(addresses));
    header.client = Peer{unmapped(source).to_string(), big_endian(addresses.substr(32))};
    return header;
  }
  return bad();
}

}  // namespace

ProxyHeader parse_proxy_header(std::string_view bytes) {
  bytes = bytes.substr(0, kProxyHeaderBytesMax);
  for (const std::string_view signature : {kText, kBinary}) {
    const size_t common = std::min(bytes.size(), signature.size());
    if (bytes.substr(0, common) != signature.substr(0, common)) {
      continue;
    }
    if (common < signature.size()) {
      return {Kind::need_more, common + 1, {}};
    }
    return signature == kText ? parse_text(bytes) : parse_binary(bytes);
  }
  return {Kind::none, 0, {}};
}

}  // namespace tidemark::http
