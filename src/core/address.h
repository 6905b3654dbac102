// IP addresses as the limits and the trust in proxies see them. Pure values; any thread.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace tidemark {

using Address = boost::asio::ip::address;

// An address without port, brackets or zone. One that maps an IPv4 address (::ffff:a.b.c.d) is that address.
std::optional<Address> parse_address(std::string_view text);
Address unmapped(const Address& address);

// Whom a limit per address counts as one: an IPv4 address, or the /64 of an IPv6 address, since a single customer has
// at least so many. Text, to be a key.
std::string address_group(std::string_view address);

// A set of networks: "10.0.0.0/8", "2001:db8::/32", or single addresses.
class Networks {
 public:
  Networks() = default;
  static Result<Networks> parse(std::span<const std::string> texts);

  bool empty() const { return networks_.empty(); }
  bool contains(const Address& address) const;

 private:
  struct Network {
    std::vector<uint8_t> bytes;  // 4 or 16
    int prefix = 0;
  };
  static std::optional<Network> parse_one(std::string_view text);

  std::vector<Network> networks_;
};

}  // namespace tidemark
