#include "bus/envelope.h"

#include <gtest/gtest.h>

namespace tidemark::bus {
namespace {

const Identity kNode{"node-1", 0x0102030405060708};

Message read(std::string_view bytes) {
  const auto got = unwrap(bytes);
  EXPECT_TRUE(std::holds_alternative<Message>(got));
  return std::get<Message>(got);
}

TEST(Envelope, KeepsSenderAndPayload) {
  const std::string payload("a\0b\xff", 4);
  const std::string bytes = wrap(kNode, payload);
  const Message message = read(bytes);
  EXPECT_EQ(message.payload, payload);
  EXPECT_EQ(message.node, "node-1");
  EXPECT_EQ(message.boot, kNode.boot);
  EXPECT_EQ(read(wrap({"n", UINT64_MAX}, "")).payload, "");
}

// Other releases read these bytes.
TEST(Envelope, HasItsLayout) {
  EXPECT_EQ(wrap(kNode, "hi"), std::string_view("\x01\x01\x02\x03\x04\x05\x06\x07\x08\x06node-1hi"));
}

TEST(Envelope, TellsARestartedNodeFromItself) {
  const std::string bytes = wrap(kNode, "x");
  EXPECT_TRUE(is_from(read(bytes), kNode));
  EXPECT_FALSE(is_from(read(bytes), {"node-1", 1}));
  EXPECT_FALSE(is_from(read(bytes), {"node-2", kNode.boot}));
}

TEST(Envelope, AnotherVersionIsToldFromRubbish) {
  std::string bytes = wrap(kNode, "x");
  bytes[0] = 2;
  EXPECT_EQ(std::get<Unreadable>(unwrap(bytes)), Unreadable::version);
  EXPECT_EQ(std::get<Unreadable>(unwrap("\x02")), Unreadable::version) << "whatever its form is";
  EXPECT_EQ(std::get<Unreadable>(unwrap("")), Unreadable::malformed);
}

TEST(Envelope, ACutOneIsMalformedAtEveryLength) {
  const std::string bytes = wrap(kNode, "");
  for (size_t size = 1; size < bytes.size(); ++size) {
    EXPECT_EQ(std::get<Unreadable>(unwrap(bytes.substr(0, size))), Unreadable::malformed) << size;
  }
  EXPECT_EQ(read(bytes).payload, "");
}

TEST(Envelope, TheNodeIdMustBeOne) {
  std::string bytes = wrap({"ab", 1}, "x");
  bytes[9] = 0;
  EXPECT_EQ(std::get<Unreadable>(unwrap(bytes)), Unreadable::malformed) << "empty";
  bytes = wrap({"a\xc3\xa4", 1}, "x");
  bytes[9] = 2;
  EXPECT_EQ(std::get<Unreadable>(unwrap(bytes)), Unreadable::malformed) << "half a character";
}

TEST(Envelope, APayloadMayHaveTheLargestSizeAndNotOneByteMore) {
  EXPECT_EQ(read(wrap(kNode, std::string(kPayloadBytesMax, 'x'))).payload.size(), kPayloadBytesMax);
  EXPECT_EQ(std::get<Unreadable>(unwrap(wrap(kNode, std::string(kPayloadBytesMax + 1, 'x')))), Unreadable::malformed);
}

}  // namespace
}  // namespace tidemark::bus
