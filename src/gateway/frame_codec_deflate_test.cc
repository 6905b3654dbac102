#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

#include "core/deflate.h"
#include "gateway/frame_codec.h"

// Compressed messages (RFC 7692).
namespace tidemark::gateway {
namespace {

using Kind = Decoded::Kind;

constexpr char kRsv1 = 0x40;

std::string frame(Opcode opcode, std::string_view payload, bool compressed, bool fin = true) {
  std::string bytes;
  append_masked_frame(bytes, opcode, payload, 0x12345678);
  bytes[0] = static_cast<char>((bytes[0] & (fin ? 0xFF : 0x7F)) | (compressed ? kRsv1 : 0));
  return bytes;
}

std::string text(size_t size) {
  std::string words;
  for (int i = 0; words.size() < size; ++i) {
    words += "wörd " + std::to_string(i) + ' ';
  }
  while (words.size() > size && (static_cast<uint8_t>(words[size]) & 0xC0) == 0x80) {
    --size;
  }
  words.resize(size);
  return words;
}

std::string deflated(std::string_view payload) { return std::string(deflate_message(payload)); }

struct Outcome {
  Kind kind = Kind::need_more;
  std::string payload;
  CloseCode code = CloseCode::no_status;
  size_t buffered_max = 0;
};

// The first message of `bytes`, given in pieces of `piece` bytes.
Outcome decode(std::string bytes, size_t piece = SIZE_MAX, bool allow = true, FrameLimits limits = {}) {
  FrameDecoder decoder(limits, Side::server);
  if (allow) {
    decoder.allow_deflate();
  }
  Outcome outcome;
  for (std::span<char> rest(bytes); !rest.empty();) {
    std::span<char> input = rest.first(std::min(piece, rest.size()));
    rest = rest.subspan(input.size());
    while (!input.empty()) {
      const Decoded decoded = decoder.next(input);
      outcome.buffered_max = std::max(outcome.buffered_max, decoder.buffered_bytes());
      if (decoded.kind != Kind::need_more && decoded.kind != Kind::ping) {
        outcome.kind = decoded.kind;
        outcome.payload = decoded.payload;
        outcome.code = decoded.code;
        return outcome;
      }
    }
  }
  return outcome;
}

TEST(FrameDecoderDeflate, InflatesMessagesHoweverTheyAreCut) {
  const std::string message = text(20'000);
  const std::string body = deflated(message);
  std::string fragmented = frame(Opcode::text, body.substr(0, 100), true, false) + frame(Opcode::ping, "x", false) +
                           frame(Opcode::continuation, body.substr(100, 1), false, false) +
                           frame(Opcode::continuation, {}, false, false) +
                           frame(Opcode::continuation, body.substr(101), false);
  for (const std::string& bytes : {frame(Opcode::text, body, true), fragmented}) {
    for (const size_t piece : {size_t{1}, size_t{13}, SIZE_MAX}) {
      const Outcome outcome = decode(bytes, piece);
      EXPECT_EQ(outcome.kind, Kind::text);
      EXPECT_EQ(outcome.payload, message);
    }
  }
}

TEST(FrameDecoderDeflate, TakesUncompressedMessagesToo) {
  EXPECT_EQ(decode(frame(Opcode::text, "hello", false)).payload, "hello");
  EXPECT_EQ(decode(frame(Opcode::text, "\xff", false)).code, CloseCode::invalid_payload);
}

TEST(FrameDecoderDeflate, TheBitIsForTheFirstFrameOfAMessage) {
  const std::string body = deflated(text(1000));
  EXPECT_EQ(decode(frame(Opcode::text, body, true), SIZE_MAX, false).code, CloseCode::protocol_error);
  EXPECT_EQ(decode(frame(Opcode::text, body.substr(0, 9), true, false) +
                   frame(Opcode::continuation, body.substr(9), true)).code, CloseCode::protocol_error);
  EXPECT_EQ(decode(frame(Opcode::text, "a", false, false) + frame(Opcode::continuation, "b", true)).code,
            CloseCode::protocol_error);
  EXPECT_EQ(decode(frame(Opcode::ping, {}, true)).code, CloseCode::protocol_error);
  EXPECT_EQ(decode(frame(Opcode::close, {}, true)).code, CloseCode::protocol_error);
  for (const int bits : {0x20, 0x10, 0x60, 0x50, 0x70}) {
    std::string bytes = frame(Opcode::text, body, false);
    bytes[0] = static_cast<char>(bytes[0] | bits);
    EXPECT_EQ(decode(bytes).code, CloseCode::protocol_error) << bits;
  }
}

TEST(FrameDecoderDeflate, TheLimitHoldsForWhatItInflatesTo) {
  FrameLimits limits;
  limits.message_bytes = 10'000;
  const std::string most(10'000, 'x');
  EXPECT_EQ(decode(frame(Opcode::text, deflated(most), true), SIZE_MAX, true, limits).payload, most);
  const Outcome beyond = decode(frame(Opcode::text, deflated(most + 'x'), true), 7, true, limits);
  EXPECT_EQ(beyond.kind, Kind::violation);
  EXPECT_EQ(beyond.code, CloseCode::message_too_big);
  const Outcome bomb = decode(frame(Opcode::text, deflated(std::string(9 << 20, 'x')), true), 7, true, limits);
  EXPECT_EQ(bomb.code, CloseCode::message_too_big);
  EXPECT_LE(bomb.buffered_max, limits.message_bytes + kControlPayloadMax);
}

TEST(FrameDecoderDeflate, BrokenDataAndBrokenTextAreRefused) {
  EXPECT_EQ(decode(frame(Opcode::text, "no deflate", true)).code, CloseCode::invalid_payload);
  EXPECT_EQ(decode(frame(Opcode::text, {}, true)).code, CloseCode::invalid_payload);
  const std::string body = deflated(text(1000));
  EXPECT_EQ(decode(frame(Opcode::text, body.substr(0, body.size() - 9), true)).code, CloseCode::invalid_payload);
  EXPECT_EQ(decode(frame(Opcode::text, deflated(std::string(1000, '\xff')), true)).code, CloseCode::invalid_payload);
  EXPECT_EQ(decode(frame(Opcode::text, deflated("cut \xe2\x82"), true)).code, CloseCode::invalid_payload);
}

TEST(FrameDecoderDeflate, MessagesFollowOneAnother) {
  FrameLimits limits;
  limits.allow_binary = true;
  FrameDecoder decoder(limits, Side::server);
  decoder.allow_deflate();
  std::string bytes;
  for (int i = 0; i < 50; ++i) {
    const std::string message = text(static_cast<size_t>(i) * 100);
    bytes += frame(i % 3 == 0 ? Opcode::binary : Opcode::text, i % 2 == 0 ? deflated(message) : message, i % 2 == 0);
  }
  std::span<char> input(bytes);
  for (int i = 0; i < 50; ++i) {
    const Decoded decoded = decoder.next(input);
    EXPECT_EQ(decoded.kind, i % 3 == 0 ? Kind::binary : Kind::text);
    EXPECT_EQ(decoded.payload, text(static_cast<size_t>(i) * 100));
  }
  EXPECT_EQ(decoder.next(input).kind, Kind::need_more);
  EXPECT_EQ(decoder.buffered_bytes(), 0u);
}

}  // namespace
}  // namespace tidemark::gateway
