#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <span>
#include <string>

#include "gateway/frame_codec.h"

// What the encoders write, and that encoders and decoders understand each other.
namespace tidemark::gateway {
namespace {

using Kind = Decoded::Kind;

TEST(ApplyMask, WorksAtEveryOffsetAndContinues) {
  constexpr std::array<char, 4> kMask = {1, 2, 4, 8};
  for (size_t size = 0; size <= 40; ++size) {
    for (size_t cut = 0; cut <= size; ++cut) {
      for (size_t offset = 0; offset < 8; ++offset) {
        std::string block(offset + size, '\0');
        std::array<char, 4> mask = kMask;
        std::span<char> bytes = std::span(block).subspan(offset);
        apply_mask(bytes.first(cut), mask);
        apply_mask(bytes.subspan(cut), mask);
        for (size_t i = 0; i < size; ++i) {
          ASSERT_EQ(bytes[i], kMask[i % 4]) << size << " bytes, cut at " << cut << ", offset " << offset;
        }
        ASSERT_EQ(mask[0], kMask[size % 4]);
      }
    }
  }
}

TEST(FrameEncoder, WritesTheExamplesOfTheRfc) {
  EXPECT_EQ(encode_frame(Opcode::text, "Hello"), "\x81\x05Hello");
  EXPECT_EQ(encode_frame(Opcode::pong, "Hello"), "\x8A\x05Hello");
  std::string masked = "kept";
  append_masked_frame(masked, Opcode::text, "Hello", 0x37FA213D);
  EXPECT_EQ(masked, "kept\x81\x85\x37\xFA\x21\x3D\x7F\x9F\x4D\x51\x58");
  EXPECT_EQ(encode_frame(Opcode::binary, std::string(256, 'b')).substr(0, 4), std::string("\x82\x7E\x01\x00", 4));
  EXPECT_EQ(encode_frame(Opcode::binary, std::string(65536, 'b')).substr(0, 10),
            std::string("\x82\x7F\0\0\0\0\0\x01\0\0", 10));
}

TEST(FrameEncoder, WritesTheShortestHeader) {
  char out[kFrameHeaderMax];
  EXPECT_EQ(write_frame_header(out, Opcode::text, 125), 2u);
  EXPECT_EQ(write_frame_header(out, Opcode::text, 126), 4u);
  EXPECT_EQ(write_frame_header(out, Opcode::text, 65535), 4u);
  EXPECT_EQ(write_frame_header(out, Opcode::text, 65536), 10u);
  EXPECT_EQ(write_frame_header(out, Opcode::text, 1, false), 2u);
  EXPECT_EQ(out[0], 0x01);
}

TEST(FrameEncoder, WritesCloseFrames) {
  EXPECT_EQ(encode_close(CloseCode::normal, ""), "\x88\x02\x03\xE8");
  EXPECT_EQ(encode_close(CloseCode::draining, "draining"), "\x88\x0A\x10\x68" "draining");
  EXPECT_EQ(encode_close(CloseCode::no_status, "ignored"), std::string("\x88\0", 2));
}

TEST(FrameEncoder, CutsALongReasonBetweenCharacters) {
  EXPECT_EQ(encode_close(CloseCode::normal, std::string(123, 'r')).substr(4), std::string(123, 'r'));
  EXPECT_EQ(encode_close(CloseCode::normal, std::string(124, 'r')).substr(4), std::string(123, 'r'));
  std::string before(121, 'r');
  EXPECT_EQ(encode_close(CloseCode::normal, before + "世").substr(4), before);
  EXPECT_EQ(encode_close(CloseCode::normal, before + "éé").substr(4), before + "é");
}

TEST(FrameCodecDeathTest, ControlFramesAreAtMost125Bytes) {
  EXPECT_DEATH(encode_frame(Opcode::ping, std::string(126, 'p')), "broken invariant");
  EXPECT_DEATH(encode_close(CloseCode::abnormal, ""), "broken invariant");
}

std::string masked_frame(Opcode opcode, std::string_view payload) {
  std::string frame;
  append_masked_frame(frame, opcode, payload, 0x9ABCDEF0);
  return frame;
}

// Each frame twice, whole and in steps that divide nothing.
void expect_round_trip(std::string stream, Side side, Kind kind, const std::string& payload) {
  FrameLimits limits{70'000, 1, true};
  FrameDecoder whole(limits, side);
  std::string copy = stream;
  std::span<char> input(copy);
  Decoded decoded = whole.next(input);
  EXPECT_EQ(decoded.kind, kind);
  EXPECT_TRUE(decoded.payload == payload);
  EXPECT_TRUE(input.empty());

  FrameDecoder stepped(limits, side);
  for (size_t at = 0; at < stream.size(); at += 997) {
    input = std::span(stream).subspan(at, std::min<size_t>(997, stream.size() - at));
    decoded = stepped.next(input);
    EXPECT_EQ(decoded.kind == Kind::need_more, at + 997 < stream.size());
  }
  EXPECT_EQ(decoded.kind, kind);
  EXPECT_TRUE(decoded.payload == payload);
}

TEST(FrameCodec, EncodersAndDecodersUnderstandEachOther) {
  for (size_t size : {0, 1, 125, 126, 127, 65535, 65536, 70000}) {
    SCOPED_TRACE(size);
    std::string payload;
    for (size_t i = 0; i < size; ++i) {
      payload += static_cast<char>('a' + i % 23);
    }
    expect_round_trip(encode_frame(Opcode::text, payload), Side::client, Kind::text, payload);
    expect_round_trip(encode_frame(Opcode::binary, payload), Side::client, Kind::binary, payload);
    expect_round_trip(masked_frame(Opcode::text, payload), Side::server, Kind::text, payload);
    expect_round_trip(masked_frame(Opcode::binary, payload), Side::server, Kind::binary, payload);
    if (size <= kControlPayloadMax) {
      expect_round_trip(encode_frame(Opcode::ping, payload), Side::client, Kind::ping, payload);
      expect_round_trip(masked_frame(Opcode::pong, payload), Side::server, Kind::pong, payload);
    }
  }
}

}  // namespace
}  // namespace tidemark::gateway
