#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <string>

#include "gateway/frame_codec.h"

// What a decoder keeps, and for how long.
namespace tidemark::gateway {
namespace {

using Kind = Decoded::Kind;

std::string masked_frame(Opcode opcode, std::string_view payload, bool fin = true) {
  std::string frame;
  append_masked_frame(frame, opcode, payload, 0x9ABCDEF0);
  if (!fin) {
    frame[0] = static_cast<char>(frame[0] & 0x7F);
  }
  return frame;
}

TEST(FrameDecoderMemory, IsSmall) { EXPECT_LE(sizeof(FrameDecoder), 80u); }

TEST(FrameDecoderMemory, HandsOutWholeFramesWithoutACopy) {
  std::string stream = masked_frame(Opcode::text, "Hello") + masked_frame(Opcode::ping, "abc");
  FrameDecoder decoder({}, Side::server);
  std::span<char> input(stream);
  Decoded text = decoder.next(input);
  EXPECT_EQ(text.payload, "Hello");
  EXPECT_EQ(text.payload.data(), stream.data() + 6);
  Decoded ping = decoder.next(input);
  EXPECT_EQ(ping.payload.data(), stream.data() + 11 + 6);
  EXPECT_EQ(decoder.buffered_bytes(), 0u);
}

TEST(FrameDecoderMemory, HoldsNoBufferForAPartialHeader) {
  std::string stream = masked_frame(Opcode::text, std::string(70000, 'x'));
  FrameDecoder decoder({}, Side::server);
  std::span<char> input = std::span(stream).first(13);
  EXPECT_EQ(decoder.next(input).kind, Kind::need_more);
  EXPECT_TRUE(decoder.is_partial());
  EXPECT_EQ(decoder.buffered_bytes(), 0u);
  input = std::span(stream).subspan(13);
  EXPECT_EQ(decoder.next(input).payload.size(), 70000u);
  EXPECT_EQ(decoder.buffered_bytes(), 0u);
}

TEST(FrameDecoderMemory, KeepsTheMessageUntilTheNextCallOnly) {
  std::string stream = masked_frame(Opcode::text, "Hello");
  FrameDecoder decoder({}, Side::server);
  std::span<char> input = std::span(stream).first(8);
  EXPECT_EQ(decoder.next(input).kind, Kind::need_more);
  EXPECT_GT(decoder.buffered_bytes(), 0u);
  input = std::span(stream).subspan(8);
  Decoded text = decoder.next(input);
  EXPECT_EQ(text.payload, "Hello");
  EXPECT_EQ(decoder.next(input).kind, Kind::need_more);
  EXPECT_EQ(decoder.buffered_bytes(), 0u);
  EXPECT_FALSE(decoder.is_partial());
}

TEST(FrameDecoderMemory, DropsTheOpenMessageAfterAClose) {
  std::string stream = masked_frame(Opcode::text, "open", false) + masked_frame(Opcode::close, "\x03\xE8 bye");
  FrameDecoder decoder({}, Side::server);
  std::span<char> input = std::span(stream).first(stream.size() - 2);  // the reason has to be gathered as well
  EXPECT_EQ(decoder.next(input).kind, Kind::need_more);
  input = std::span(stream).last(2);
  EXPECT_EQ(decoder.next(input).payload, " bye");
  EXPECT_EQ(decoder.next(input).kind, Kind::need_more);
  EXPECT_EQ(decoder.buffered_bytes(), 0u);
  EXPECT_FALSE(decoder.is_partial());
}

// Feeds in steps and watches that memory follows what has arrived, not what was announced.
void expect_bounded(std::string stream, const FrameLimits& limits, size_t step) {
  FrameDecoder decoder(limits, Side::server);
  for (size_t at = 0; at < stream.size(); at += step) {
    std::span<char> input = std::span(stream).subspan(at, std::min(step, stream.size() - at));
    while (decoder.next(input).kind != Kind::need_more) {
    }
    ASSERT_LE(decoder.buffered_bytes(), 2 * (at + step)) << "step " << step;
    ASSERT_LE(decoder.buffered_bytes(), limits.message_bytes + kControlPayloadMax) << "step " << step;
  }
  EXPECT_EQ(decoder.buffered_bytes(), 0u);
}

TEST(FrameDecoderMemory, FollowsWhatHasArrived) {
  FrameLimits limits{100'000, 64, false};
  std::string part(25'000, 'x');
  for (size_t step : {1, 7, 1000, 4096, 60'000}) {
    expect_bounded(masked_frame(Opcode::text, std::string(100'000, 'x')), limits, step);
    expect_bounded(masked_frame(Opcode::text, part, false) + masked_frame(Opcode::continuation, part, false) +
                       masked_frame(Opcode::ping, std::string(125, 'p')) +
                       masked_frame(Opcode::continuation, part, false) + masked_frame(Opcode::continuation, part) +
                       masked_frame(Opcode::text, "next"),
                   limits, step);
  }
}

TEST(FrameDecoderMemory, AnAnnouncementCostsNothing) {
  FrameDecoder decoder({size_t{2} << 30, 64, false}, Side::server);
  char stream[kFrameHeaderMax] = {};
  write_frame_header(stream, Opcode::text, uint64_t{1} << 30);
  stream[1] = static_cast<char>(stream[1] | 0x80);
  std::span<char> input(stream);
  EXPECT_EQ(decoder.next(input).kind, Kind::need_more);
  EXPECT_EQ(decoder.buffered_bytes(), 0u);
  char byte = 'x';
  input = std::span(&byte, 1);
  EXPECT_EQ(decoder.next(input).kind, Kind::need_more);
  EXPECT_LE(decoder.buffered_bytes(), 2u);
}

TEST(FrameDecoderMemory, LimitsAboveTwoGigabytesCountAsTwo) {
  FrameDecoder decoder({~size_t{0}, ~size_t{0}, false}, Side::client);
  char stream[kFrameHeaderMax];
  std::span<char> input(stream, write_frame_header(stream, Opcode::text, (uint64_t{1} << 31) + 1));
  EXPECT_EQ(decoder.next(input).code, CloseCode::message_too_big);
}

}  // namespace
}  // namespace tidemark::gateway
