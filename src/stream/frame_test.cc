#include "stream/frame.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>


namespace tidemark::stream {
namespace {

std::string header_of(const Frame& frame) {
  return std::string(frame.wire().substr(0, frame.wire().size() - frame.payload().size()));
}

struct Case {
  size_t payload;
  std::string header;
};

TEST(Frame, WritesTheShortestHeaderForEachSize) {
  const std::vector<Case> cases = {
      {0, std::string("\x81\x00", 2)},
      {1, "\x81\x01"},
      {125, "\x81\x7d"},
      {126, std::string("\x81\x7e\x00\x7e", 4)},
      {65535, "\x81\x7e\xff\xff"},
      {65536, std::string("\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10)},
      {300'000, std::string("\x81\x7f\x00\x00\x00\x00\x00\x04\x93\xe0", 10)},
  };
  for (const Case& one : cases) {
    const std::string payload(one.payload, 'x');
    const Frame frame = Frame::text(payload);
    EXPECT_EQ(header_of(frame), one.header) << one.payload;
    EXPECT_EQ(frame.payload(), payload);
    EXPECT_EQ(frame.size(), one.header.size() + one.payload);
    EXPECT_EQ(frame.size(), frame.wire().size());
  }
}

TEST(Frame, KeepsAnyBytesOfThePayload) {
  const std::string payload("a\0\xff\x81", 4);
  EXPECT_EQ(Frame::text(payload).payload(), payload);
}

TEST(Frame, LeavesWireBytesAsTheyAre) {
  const Frame frame = Frame::wire_bytes("\x89\x01p");
  EXPECT_EQ(frame.wire(), "\x89\x01p");
  EXPECT_EQ(frame.payload(), "\x89\x01p");
  EXPECT_EQ(frame.size(), 3u);
}

TEST(Frame, SharesItsBytesAmongCopies) {
  Frame copy;
  EXPECT_FALSE(copy);
  {
    const Frame first = Frame::text("shared");
    copy = first;
    EXPECT_EQ(copy.wire().data(), first.wire().data());
  }
  EXPECT_EQ(copy.payload(), "shared");
  const Frame moved = std::move(copy);
  EXPECT_FALSE(copy);
  EXPECT_EQ(moved.payload(), "shared");
}

TEST(Frame, SurvivesAssignmentToItself) {
  Frame frame = Frame::text("kept");
  const Frame& same = frame;
  frame = same;
  EXPECT_EQ(frame.payload(), "kept");
}

}  // namespace
}  // namespace tidemark::stream
