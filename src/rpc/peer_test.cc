#include "rpc/peer.h"

#include <gtest/gtest.h>

namespace tidemark::rpc {
namespace {

void expect_peer(std::string_view text, std::string_view address, int port, bool loopback) {
  const Peer peer = parse_peer(text);
  EXPECT_EQ(peer.address, address) << text;
  EXPECT_EQ(peer.port, port) << text;
  EXPECT_EQ(peer.loopback, loopback) << text;
}

TEST(Peer, IsReadAsGrpcWritesIt) {
  expect_peer("ipv4:127.0.0.1:4711", "127.0.0.1", 4711, true);
  expect_peer("ipv4:192.0.2.7:80", "192.0.2.7", 80, false);
  expect_peer("ipv6:%5B::1%5D:4711", "::1", 4711, true);
  expect_peer("ipv6:[2001:db8::1]:443", "2001:db8::1", 443, false);
  expect_peer("ipv6:%5Bfe80::1%25eth0%5D:9", "fe80::1", 9, false);
}

TEST(Peer, AMappedAddressIsTheOneItMaps) { expect_peer("ipv6:%5B::ffff:127.0.0.1%5D:4711", "127.0.0.1", 4711, true); }

TEST(Peer, WhatHasNoAddressIsNoLoopback) {
  for (const char* text :
       {"", "unix:/tmp/socket", "ipv4:", "ipv4:127.0.0.1", "ipv4:%zz:1", "ipv4:host:1", "ipv6:[]:1"}) {
    expect_peer(text, "", 0, false);
  }
}

}  // namespace
}  // namespace tidemark::rpc
