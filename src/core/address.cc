#include "core/address.h"

#include <algorithm>
#include <charconv>

namespace tidemark {
namespace {

namespace ip = boost::asio::ip;

std::vector<uint8_t> bytes_of(const Address& address) {
  if (address.is_v4()) {
    const auto bytes = address.to_v4().to_bytes();
    return {bytes.begin(), bytes.end()};
  }
  const auto bytes = address.to_v6().to_bytes();
  return {bytes.begin(), bytes.end()};
}

bool same_prefix(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b, int bits) {
  const auto whole = static_cast<size_t>(bits / 8);
  if (!std::equal(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(whole), b.begin())) {
    return false;
  }
  const int rest = bits % 8;
  return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

}  // namespace

Address unmapped(const Address& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return ip::make_address_v4(ip::v4_mapped, address.to_v6());
  }
  return address;
}

std::optional<Address> parse_address(std::string_view text) {
  // The longest form of an IPv6 address has 45 bytes; a zone means nothing on another machine.
  if (text.empty() || text.size() > 45 || text.find('%') != std::string_view::npos) {
    return std::nullopt;
  }
  boost::system::error_code failed;
  const Address address = ip::make_address(std::string(text), failed);
  return failed ? std::nullopt : std::optional(unmapped(address));
}

std::string address_group(std::string_view address) {
  const auto parsed = parse_address(address);
  if (!parsed || parsed->is_v4()) {
    return std::string(address);
  }
  auto bytes = parsed->to_v6().to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), 0);
  return ip::address_v6(bytes).to_string() + "/64";
}

std::optional<Networks::Network> Networks::parse_one(std::string_view text) {
  const size_t slash = std::min(text.find('/'), text.size());
  const auto address = parse_address(text.substr(0, slash));
  if (!address) {
    return std::nullopt;
  }
  Network network{bytes_of(*address), 0};
  const int bits = static_cast<int>(network.bytes.size() * 8);
  network.prefix = bits;
  if (slash < text.size()) {
    const std::string_view number = text.substr(slash + 1);
    const auto [end, failed] = std::from_chars(number.begin(), number.end(), network.prefix);
    if (failed != std::errc() || end != number.end() || network.prefix < 0 || network.prefix > bits) {
      return std::nullopt;
    }
  }
  return network;
}

Result<Networks> Networks::parse(std::span<const std::string> texts) {
  Networks networks;
  for (const std::string& text : texts) {
    auto network = parse_one(text);
    if (!network) {
      return fail(Code::invalid_field, "not an IP address or network: " + text);
    }
    networks.networks_.push_back(std::move(*network));
  }
  return networks;
}

bool Networks::contains(const Address& address) const {
  if (networks_.empty()) {
    return false;
  }
  const std::vector<uint8_t> bytes = bytes_of(unmapped(address));
  return std::any_of(networks_.begin(), networks_.end(), [&](const Network& network) {
    return network.bytes.size() == bytes.size() && same_prefix(network.bytes, bytes, network.prefix);
  });
}

}  // namespace tidemark
