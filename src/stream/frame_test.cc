#include "stream/frame.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/deflate.h"

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

TEST(Frame, HoldsTheBytesOfItsOtherForms) {
  const Frame frame = Frame::text(std::string(1000, 'x'), "aside");
  const size_t alone = frame.bytes_held();
  EXPECT_GE(alone, frame.size() + 5);
  const Frame compressed = frame.compressed();
  EXPECT_GE(frame.bytes_held(), alone + compressed.size());
  const size_t before = frame.bytes_held();
  const Frame other = frame.translated([](std::string_view, std::string_view) { return std::string(5000, 'y'); });
  EXPECT_GE(frame.bytes_held(), before + other.size());
  const Frame both = other.compressed();
  EXPECT_GE(frame.bytes_held(), before + other.size() + both.size());
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

std::string message(size_t size) {
  std::string text;
  for (int i = 0; text.size() < size; ++i) {
    text += "entry " + std::to_string(i) + " ";
  }
  text.resize(size);
  return text;
}

TEST(Frame, HasACompressedTwin) {
  const Frame frame = Frame::text(message(10'000));
  const Frame twin = frame.compressed();
  EXPECT_LT(twin.size(), frame.size() / 2);
  EXPECT_EQ(static_cast<uint8_t>(twin.wire()[0]), 0xC1);
  const Inflated inflated = inflate_message(twin.payload(), 10'000);
  ASSERT_EQ(inflated.outcome, Inflated::Outcome::whole);
  EXPECT_EQ(inflated.payload, frame.payload());
  EXPECT_EQ(static_cast<uint8_t>(Frame::binary(message(10'000)).compressed().wire()[0]), 0xC2);
}

TEST(Frame, IsCompressedOnce) {
  const Frame frame = Frame::text(message(10'000));
  const char* const first = frame.compressed().wire().data();
  EXPECT_EQ(frame.compressed().wire().data(), first);
  EXPECT_EQ(Frame(frame).compressed().wire().data(), first);
}

TEST(Frame, ATwinOutlivesItsFrame) {
  Frame frame = Frame::text(message(10'000));
  const Frame twin = frame.compressed();
  frame = {};
  EXPECT_EQ(inflate_message(twin.payload(), 10'000).payload, message(10'000));
}

TEST(Frame, IsItsOwnTwinWhereCompressionIsNotWorthIt) {
  std::minstd_rand random(1);
  std::string noise(1000, '\0');
  for (char& byte : noise) {
    byte = static_cast<char>(random());
  }
  for (const Frame& frame : {Frame::text(message(Frame::kCompressFrom - 1)), Frame::wire_bytes(message(1000)),
                             Frame::binary(noise), Frame::text("")}) {
    EXPECT_EQ(frame.compressed().wire().data(), frame.wire().data());
  }
  const Frame frame = Frame::text(message(Frame::kCompressFrom));
  EXPECT_NE(frame.compressed().wire().data(), frame.wire().data());
}

TEST(Frame, IsCompressedOnceByManyThreads) {
  for (int round = 0; round < 50; ++round) {
    const Frame frame = Frame::text(message(20'000));
    std::vector<std::thread> threads;
    std::array<const char*, 4> seen{};
    for (const char*& place : seen) {
      threads.emplace_back([&place, frame] { place = frame.compressed().wire().data(); });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    EXPECT_EQ(std::set<const char*>(seen.begin(), seen.end()).size(), 1u);
  }
}

std::atomic<int> written{0};
std::string shout(std::string_view payload, std::string_view aside) {
  ++written;
  return std::string(payload) + "!" + std::string(aside);
}

TEST(Frame, CarriesAnAsideThatIsNotOnTheWire) {
  const Frame frame = Frame::text("hello", "world");
  EXPECT_EQ(frame.payload(), "hello");
  EXPECT_EQ(frame.size(), 2u + 5u);
  EXPECT_EQ(frame.aside(), "world");
  EXPECT_EQ(Frame::text("hello").aside(), "");
}

TEST(Frame, IsTranslatedOnceForAllWhoAsk) {
  written = 0;
  const Frame frame = Frame::text("hello", "world");
  const Frame first = frame.translated(&shout);
  const Frame second = Frame(frame).translated(&shout);
  EXPECT_EQ(first.payload(), "hello!world");
  EXPECT_EQ(first.wire().data(), second.wire().data());
  EXPECT_EQ(written, 1);
  EXPECT_EQ(frame.payload(), "hello");
}

TEST(Frame, ATranslationOutlivesItsFrame) {
  Frame translated;
  {
    const Frame frame = Frame::text("hello");
    translated = frame.translated(&shout);
  }
  EXPECT_EQ(translated.payload(), "hello!");
}

TEST(Frame, ThreadsThatAskAtOnceShareOneTranslation) {
  for (int round = 0; round < 200; ++round) {
    const Frame frame = Frame::text("hello");
    const char* seen[4] = {};
    std::vector<Frame> kept(4);
    std::vector<std::thread> threads;
    for (size_t i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        kept[i] = frame.translated(&shout);
        seen[i] = kept[i].wire().data();
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    EXPECT_EQ(std::set<const char*>(seen, seen + 4).size(), 1u);
  }
}

}  // namespace
}  // namespace tidemark::stream
