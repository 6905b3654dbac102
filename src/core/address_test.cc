#include "core/address.h"

#include <gtest/gtest.h>

namespace tidemark {
namespace {

bool trusts(const std::vector<std::string>& networks, std::string_view address) {
  return Networks::parse(networks)->contains(*parse_address(address));
}

TEST(Address, ReadsBothFamiliesAndNothingElse) {
  EXPECT_EQ(parse_address("192.0.2.1")->to_string(), "192.0.2.1");
  EXPECT_EQ(parse_address("2001:DB8::1")->to_string(), "2001:db8::1");
  EXPECT_EQ(parse_address("::ffff:192.0.2.1")->to_string(), "192.0.2.1");
  for (const char* text : {"", " 192.0.2.1", "192.0.2", "192.0.2.256", "192.0.2.1:80", "[::1]", "fe80::1%eth0", "unknown",
                           "1.2.3.4\n", "0x7f.1", "::1::", "99999999999999999999999999999999999999999999999"}) {
    EXPECT_FALSE(parse_address(text)) << text;
  }
}

TEST(Address, GroupsIpv6ByItsFirstHalf) {
  EXPECT_EQ(address_group("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(address_group("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  EXPECT_EQ(address_group("2001:db8:1:2:ffff::1"), address_group("2001:db8:1:2::"));
  EXPECT_NE(address_group("2001:db8:1:3::1"), address_group("2001:db8:1:2::1"));
}

TEST(Networks, ContainWhatTheirPrefixSays) {
  EXPECT_TRUE(trusts({"10.0.0.0/8"}, "10.255.1.2"));
  EXPECT_FALSE(trusts({"10.0.0.0/8"}, "11.0.0.1"));
  EXPECT_TRUE(trusts({"192.168.4.0/22"}, "192.168.7.255"));
  EXPECT_FALSE(trusts({"192.168.4.0/22"}, "192.168.8.0"));
  EXPECT_TRUE(trusts({"127.0.0.1", "::1"}, "::1"));
  EXPECT_FALSE(trusts({"127.0.0.1"}, "127.0.0.2"));
  EXPECT_TRUE(trusts({"2001:db8::/33"}, "2001:db8:7fff::1"));
  EXPECT_FALSE(trusts({"2001:db8::/33"}, "2001:db8:8000::1"));
  EXPECT_TRUE(trusts({"0.0.0.0/0"}, "8.8.8.8"));
  EXPECT_FALSE(trusts({"0.0.0.0/0"}, "::1")) << "another family";
  EXPECT_FALSE(trusts({}, "127.0.0.1"));
}

TEST(Networks, RefuseWhatIsNone) {
  for (const char* text : {"10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "localhost", "10.0.0.0/ 8"}) {
    EXPECT_FALSE(Networks::parse(std::vector<std::string>{text}).ok()) << text;
  }
}

}  // namespace
}  // namespace tidemark
