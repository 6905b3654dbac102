#include "http/proxy_protocol.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <poll.h>

#include "core/address.h"
#include "http/client_address.h"

namespace tidemark::http {
namespace {

using Kind = ProxyHeader::Kind;
using namespace std::string_literals;

const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

std::string binary(char version_command, char family, const std::string& rest) {
  std::string header = kSignature;
  header += version_command;
  header += family;
  header += static_cast<char>(rest.size() >> 8);
  header += static_cast<char>(rest.size() & 0xff);
  return header + rest;
}

const std::string kTcp4 = "\xc0\x00\x02\x01\x7f\x00\x00\x01\x9c\x40\x1f\x90"s;  // 192.0.2.1:40000 to 127.0.0.1:8080

TEST(ProxyProtocol, ReadsTheTextForm) {
  const std::string line = "PROXY TCP4 192.0.2.1 127.0.0.1 40000 8080\r\n";
  const ProxyHeader header = parse_proxy_header(line + "GET / HTTP/1.1\r\n");
  ASSERT_EQ(header.kind, Kind::found);
  EXPECT_EQ(header.bytes, line.size());
  EXPECT_EQ(header.client, (Peer{"192.0.2.1", 40000}));
  EXPECT_EQ(parse_proxy_header("PROXY TCP6 2001:db8::1 ::1 1 2\r\n").client, (Peer{"2001:db8::1", 1}));
  const ProxyHeader unknown = parse_proxy_header("PROXY UNKNOWN whatever it says\r\n");
  EXPECT_EQ(unknown.kind, Kind::found);
  EXPECT_FALSE(unknown.client);
}

TEST(ProxyProtocol, ReadsTheBinaryForm) {
  const ProxyHeader header = parse_proxy_header(binary('\x21', '\x11', kTcp4) + "GET");
  ASSERT_EQ(header.kind, Kind::found);
  EXPECT_EQ(header.bytes, 28u);
  EXPECT_EQ(header.client, (Peer{"192.0.2.1", 40000}));
  const std::string v6 = "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x01"s + std::string(16, '\0') + "\x00\x07\x00\x08"s;
  EXPECT_EQ(parse_proxy_header(binary('\x21', '\x21', v6)).client, (Peer{"2001:db8::1", 7}));
  EXPECT_EQ(parse_proxy_header(binary('\x21', '\x11', kTcp4 + "\x04\x00\x01x"s)).bytes, 32u) << "extensions are passed over";
  for (const auto& own : {binary('\x20', '\x00', ""), binary('\x20', '\x11', kTcp4), binary('\x21', '\x00', "abc"),
                          binary('\x21', '\x31', std::string(216, 'u'))}) {
    const ProxyHeader local = parse_proxy_header(own);
    EXPECT_EQ(local.kind, Kind::found);
    EXPECT_FALSE(local.client);
  }
}

TEST(ProxyProtocol, WaitsAtEveryCutAndNeverForever) {
  for (const std::string& whole : {"PROXY TCP4 192.0.2.1 127.0.0.1 40000 8080\r\n"s, binary('\x21', '\x11', kTcp4)}) {
    for (size_t size = 0; size < whole.size(); ++size) {
      const ProxyHeader header = parse_proxy_header(whole.substr(0, size));
      EXPECT_EQ(header.kind, Kind::need_more) << size;
      EXPECT_GT(header.bytes, size);
      EXPECT_LE(header.bytes, whole.size());
    }
  }
  EXPECT_EQ(parse_proxy_header("PROXY " + std::string(100, 'x')).kind, Kind::need_more);
  EXPECT_EQ(parse_proxy_header("PROXY " + std::string(101, 'x')).kind, Kind::bad) << "no line is longer than 107 bytes";
}

TEST(ProxyProtocol, RefusesWhatIsAlmostRight) {
  for (const char* line :
       {"PROXY TCP4 192.0.2.1 127.0.0.1 40000\r\n", "PROXY TCP4 192.0.2.1 127.0.0.1 40000 8080 \r\n",
        "PROXY TCP4 192.0.2.1 127.0.0.1 65536 8080\r\n", "PROXY TCP4 192.0.2.1 127.0.0.1 -1 8080\r\n",
        "PROXY TCP4 192.0.2.1 127.0.0.1 040 8080\r\n", "PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
        "PROXY TCP6 192.0.2.1 127.0.0.1 1 2\r\n", "PROXY  TCP4 192.0.2.1 127.0.0.1 1 2\r\n", "PROXY tcp4 1.1.1.1 1.1.1.1 1 2\r\n",
        "PROXY UDP4 192.0.2.1 127.0.0.1 1 2\r\n", "PROXY \r\n", "PROXY TCP4 1.1.1.1\n1.1.1.1 1.1.1.1 1 2\r\n",
        "PROXY TCP4 1.1.1.999 1.1.1.1 1 2\r\n", "PROXY UNKNOWNX\r\n"}) {
    EXPECT_EQ(parse_proxy_header(line).kind, Kind::bad) << line;
  }
  EXPECT_EQ(parse_proxy_header(binary('\x11', '\x11', kTcp4)).kind, Kind::bad) << "version 1 in the binary form";
  EXPECT_EQ(parse_proxy_header(binary('\x22', '\x11', kTcp4)).kind, Kind::bad) << "an unknown command";
  EXPECT_EQ(parse_proxy_header(binary('\x21', '\x12', kTcp4)).kind, Kind::bad) << "datagrams";
  EXPECT_EQ(parse_proxy_header(binary('\x21', '\x41', kTcp4)).kind, Kind::bad) << "an unknown family";
  EXPECT_EQ(parse_proxy_header(binary('\x21', '\x11', kTcp4.substr(1))).kind, Kind::bad) << "too short for its family";
  EXPECT_EQ(parse_proxy_header(binary('\x21', '\x21', kTcp4)).kind, Kind::bad);
  EXPECT_EQ(parse_proxy_header(kSignature + "\x21\x11\xff\xff"s).kind, Kind::bad) << "64 KiB of extensions";
}

TEST(ProxyProtocol, OtherBytesAreNone) {
  for (const std::string& bytes : {"GET / HTTP/1.1\r\n"s, "POST / HTTP/1.1\r\n"s, "PROXYTCP4"s, "\x16\x03\x01"s, "\r\nGET"s,
                                   "\r\n\r\n\r\n"s}) {
    EXPECT_EQ(parse_proxy_header(bytes).kind, Kind::none) << bytes;
  }
}

TEST(ProxyProtocol, TakesTheHeaderFromTheSocketAndNothingElse) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  const std::string line = "PROXY TCP4 192.0.2.1 127.0.0.1 40000 8080\r\n";
  EXPECT_EQ(take_proxy_header(pair[0]).kind, Kind::need_more);
  ASSERT_EQ(::send(pair[1], line.data(), 10, 0), 10);
  EXPECT_EQ(take_proxy_header(pair[0]).kind, Kind::need_more);
  const std::string rest = line.substr(10) + "GET";
  ASSERT_EQ(::send(pair[1], rest.data(), rest.size(), 0), static_cast<ssize_t>(rest.size()));
  EXPECT_EQ(take_proxy_header(pair[0]).client, (Peer{"192.0.2.1", 40000}));
  char left[16];
  EXPECT_EQ(::recv(pair[0], left, sizeof left, MSG_DONTWAIT), 3);
  ::close(pair[1]);
  EXPECT_EQ(take_proxy_header(pair[0]).kind, Kind::bad) << "the other side has gone";
  ::close(pair[0]);
}

class ForwardedFor : public testing::Test {
 protected:
  Peer client(const std::string& peer, std::vector<std::string> lists) {
    boost::beast::http::fields head;
    for (const std::string& list : lists) {
      head.insert("X-Forwarded-For", list);
    }
    return client_of(head, {peer, 5}, trusted_);
  }
  const Networks trusted_ = *Networks::parse(std::vector<std::string>{"10.0.0.0/8", "2001:db8::/32"});
};

TEST_F(ForwardedFor, CountsOnlyFromATrustedPeer) {
  EXPECT_EQ(client("192.0.2.9", {"203.0.113.1"}), (Peer{"192.0.2.9", 5}));
  EXPECT_EQ(client("10.1.2.3", {"203.0.113.1"}), (Peer{"203.0.113.1", 0}));
  EXPECT_EQ(client("10.1.2.3", {}), (Peer{"10.1.2.3", 5}));
}

TEST_F(ForwardedFor, TakesTheRightmostThatIsNoProxy) {
  EXPECT_EQ(client("10.1.2.3", {"1.1.1.1, 203.0.113.1, 10.9.9.9"}).ip, "203.0.113.1") << "what a client claims is left of it";
  EXPECT_EQ(client("10.1.2.3", {"1.1.1.1", "203.0.113.1,10.9.9.9"}).ip, "203.0.113.1") << "several headers are one list";
  EXPECT_EQ(client("10.1.2.3", {"10.0.0.1, 10.0.0.2"}).ip, "10.0.0.1");
}

TEST_F(ForwardedFor, StopsAtWhatIsNoAddress) {
  EXPECT_EQ(client("10.1.2.3", {"203.0.113.1, unknown, 10.9.9.9"}).ip, "10.9.9.9");
  EXPECT_EQ(client("10.1.2.3", {", 203.0.113.1, ,"}).ip, "203.0.113.1") << "empty elements mean nothing";
  EXPECT_EQ(client("10.1.2.3", {"203.0.113.1:x"}).ip, "10.1.2.3");
}

TEST_F(ForwardedFor, UnderstandsPorts) {
  EXPECT_EQ(client("10.1.2.3", {"203.0.113.1:4711"}), (Peer{"203.0.113.1", 4711}));
  EXPECT_EQ(client("10.1.2.3", {"[2001:db9::1]:4711"}), (Peer{"2001:db9::1", 4711}));
  EXPECT_EQ(client("10.1.2.3", {"2001:db9::1"}), (Peer{"2001:db9::1", 0}));
}

}  // namespace
}  // namespace tidemark::http
