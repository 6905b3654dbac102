#include "gateway/frame_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <ostream>
#include <random>
#include <vector>

// Decoding, rule by rule. What the encoders write is tested in frame_codec_encode_test.cc, what a decoder keeps in
// frame_codec_memory_test.cc.
namespace tidemark::gateway {
namespace {

using Kind = Decoded::Kind;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::IsEmpty;

constexpr uint8_t kFin = 0x80;
constexpr uint8_t kText = 1;
constexpr uint8_t kBinary = 2;
constexpr uint8_t kMore = 0;
constexpr uint8_t kClose = 8;
constexpr uint8_t kPing = 9;
constexpr uint8_t kPong = 10;
constexpr uint32_t kMask = 0x37FA213D;

struct Event {
  Kind kind;
  std::string payload;
  CloseCode code = CloseCode::no_status;

  friend bool operator==(const Event&, const Event&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Event& event) {
    return out << "{kind " << int(event.kind) << ", " << event.payload.size() << " bytes '"
               << event.payload.substr(0, 40) << "', code " << int(event.code) << "}";
  }
};

using Events = std::vector<Event>;

Event violation(int code) { return {Kind::violation, "", static_cast<CloseCode>(code)}; }
Event closed(int code, std::string reason = {}) {
  return {Kind::close, std::move(reason), static_cast<CloseCode>(code)};
}

std::string bytes(std::initializer_list<int> values) { return std::string(values.begin(), values.end()); }

std::string masked(std::string payload, size_t phase = 0) {
  for (size_t i = 0; i < payload.size(); ++i) {
    payload[i] = static_cast<char>(payload[i] ^ (kMask >> (24 - 8 * ((i + phase) % 4))));
  }
  return payload;
}

constexpr char kMaskBytes[] = "\x37\xFA\x21\x3D";

// A masked frame with any first byte, and any size announced.
std::string announce(int first, uint64_t size, int length_bytes) {
  std::string head = bytes({first, 0x80 | (length_bytes == 0 ? int(size) : length_bytes == 2 ? 126 : 127)});
  for (int i = length_bytes - 1; i >= 0; --i) {
    head += static_cast<char>(size >> (8 * i));
  }
  return head + kMaskBytes;
}

std::string frame(int first, std::string payload = {}) {
  size_t size = payload.size();
  return announce(first, size, size < 126 ? 0 : size < 65536 ? 2 : 8) + masked(std::move(payload));
}

std::string close_frame(int code, const std::string& reason = {}) {
  return frame(kFin | kClose, bytes({code >> 8, code & 0xFF}) + reason);
}

// Feeds `stream` in pieces of the given sizes (the rest as one), each in a block of its own, so that a view that
// outlives its piece and an overrun are seen by the address sanitizer.
Events decode(const std::string& stream, const std::vector<size_t>& sizes, Side side, const FrameLimits& limits) {
  FrameDecoder decoder(limits, side);
  Events events;
  size_t at = 0;
  for (size_t i = 0; i <= sizes.size(); ++i) {
    size_t size = i < sizes.size() ? std::min(sizes[i], stream.size() - at) : stream.size() - at;
    std::vector<char> piece(stream.begin() + at, stream.begin() + at + size);
    std::span<char> input(piece);
    at += size;
    for (;;) {
      Decoded decoded = decoder.next(input);
      if (decoded.kind == Kind::need_more) {
        EXPECT_TRUE(input.empty());
        break;
      }
      events.push_back({decoded.kind, std::string(decoded.payload), decoded.code});
      EXPECT_EQ(decoded.kind == Kind::violation, !decoded.why.empty());
      if (decoded.kind == Kind::violation) {
        EXPECT_EQ(decoder.buffered_bytes(), 0u);
        return events;
      }
    }
    if (!decoder.is_partial()) {
      EXPECT_EQ(decoder.buffered_bytes(), 0u);
    }
  }
  return events;
}

// The whole stream at once, byte by byte, cut in two everywhere (if short), and cut at random.
void expect_events(const std::string& stream, const Events& expected, const FrameLimits& limits = {},
                   Side side = Side::server) {
  EXPECT_THAT(decode(stream, {}, side, limits), ElementsAreArray(expected)) << "whole";
  EXPECT_THAT(decode(stream, std::vector<size_t>(stream.size(), 1), side, limits), ElementsAreArray(expected))
      << "byte by byte";
  for (size_t cut = 0; cut <= std::min<size_t>(stream.size(), 300); ++cut) {
    ASSERT_THAT(decode(stream, {cut}, side, limits), ElementsAreArray(expected)) << "cut at " << cut;
  }
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    std::mt19937 random(seed);
    std::vector<size_t> sizes;
    for (size_t at = 0; at < stream.size(); at += sizes.back()) {
      sizes.push_back(random() % (2 + stream.size() / 4));
    }
    ASSERT_THAT(decode(stream, sizes, side, limits), ElementsAreArray(expected)) << "seed " << seed;
  }
}

FrameLimits small(size_t message_bytes, size_t fragments = 64) { return {message_bytes, fragments, true}; }
FrameLimits binary_allowed() { return {512 * 1024, 64, true}; }

TEST(FrameDecoder, ReadsTheExamplesOfTheRfc) {
  expect_events(bytes({0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}), {{Kind::text, "Hello"}});
  expect_events(bytes({0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}), {{Kind::pong, "Hello"}});
  expect_events(bytes({0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}), {{Kind::text, "Hello"}}, {}, Side::client);
  expect_events(bytes({0x01, 0x03, 0x48, 0x65, 0x6c}) + bytes({0x80, 0x02, 0x6c, 0x6f}), {{Kind::text, "Hello"}}, {},
                Side::client);
  expect_events(bytes({0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}), {{Kind::ping, "Hello"}}, {}, Side::client);
}

TEST(FrameDecoder, ReadsEveryLengthEncodingAtItsBorders) {
  for (size_t size : {0, 1, 2, 3, 4, 5, 7, 8, 9, 124, 125, 126, 127, 128, 65535, 65536}) {
    SCOPED_TRACE(size);
    std::string payload(size, 'x');
    expect_events(frame(kFin | kText, payload) + frame(kFin | kBinary, payload),
                  {{Kind::text, payload}, {Kind::binary, payload}}, binary_allowed());
  }
}

TEST(FrameDecoder, ReadsManyFramesFromOnePiece) {
  expect_events(frame(kFin | kText, "one") + frame(kFin | kText) + frame(kFin | kPing, "?") +
                    frame(kFin | kText, "two"),
                {{Kind::text, "one"}, {Kind::text, ""}, {Kind::ping, "?"}, {Kind::text, "two"}});
}

TEST(FrameDecoder, RefusesReservedBits) {
  for (int bit : {0x40, 0x20, 0x10, 0x70}) {
    expect_events(frame(kFin | kText | bit, "x"), {violation(1002)});
    expect_events(frame(kFin | kPing | bit), {violation(1002)});
    expect_events(frame(kText, "x") + frame(kFin | kMore | bit, "x"), {violation(1002)});
  }
}

TEST(FrameDecoder, RefusesReservedOpcodes) {
  for (int opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
    expect_events(frame(kFin | opcode, "x"), {violation(1002)}, binary_allowed());
    expect_events(frame(kText, "x") + frame(kFin | opcode, "x"), {violation(1002)}, binary_allowed());
  }
}

TEST(FrameDecoder, RefusesUnmaskedFramesFromClients) {
  expect_events(bytes({0x81, 0x01, 'x'}), {violation(1002)});
  expect_events(bytes({0x81, 0x00}), {violation(1002)});
  expect_events(bytes({0x89, 0x00}), {violation(1002)});
  expect_events(bytes({0x82, 0x01, 'x'}), {violation(1002)});
}

TEST(FrameDecoder, RefusesMaskedFramesFromServers) {
  expect_events(frame(kFin | kText, "x"), {violation(1002)}, {}, Side::client);
  expect_events(frame(kFin | kPing), {violation(1002)}, {}, Side::client);
}

TEST(FrameDecoder, RefusesLengthsThatAreNotMinimal) {
  for (uint64_t size : {0, 1, 125}) {
    expect_events(announce(kFin | kText, size, 2) + masked(std::string(size, 'x')), {violation(1002)});
  }
  for (uint64_t size : {0, 125, 126, 65535}) {
    expect_events(announce(kFin | kText, size, 8) + masked(std::string(size, 'x')), {violation(1002)});
  }
}

TEST(FrameDecoder, RefusesNegativeLengths) {
  for (uint64_t size : {uint64_t{1} << 63, ~uint64_t{0}}) {
    expect_events(announce(kFin | kText, size, 8), {violation(1002)});
    expect_events(frame(kText, "x") + announce(kFin | kMore, size, 8), {violation(1002)});
  }
  expect_events(announce(kFin | kText, ~uint64_t{0} >> 1, 8), {violation(1009)});
}

TEST(FrameDecoder, RefusesFragmentedControlFrames) {
  for (int opcode : {kClose, kPing, kPong}) {
    expect_events(frame(opcode), {violation(1002)});
    expect_events(frame(kText, "x") + frame(opcode), {violation(1002)});
  }
}

TEST(FrameDecoder, TakesControlFramesUpTo125Bytes) {
  std::string longest(125, 'p');
  expect_events(frame(kFin | kPing, longest) + frame(kFin | kPong, longest),
                {{Kind::ping, longest}, {Kind::pong, longest}});
  std::string reason(123, 'r');
  expect_events(close_frame(1000, reason), {closed(1000, reason)});
  for (int opcode : {kClose, kPing, kPong}) {
    expect_events(frame(kFin | opcode, std::string(126, 'p')), {violation(1002)});
    expect_events(frame(kFin | opcode, std::string(65536, 'p')).substr(0, 20), {violation(1002)});
  }
}

TEST(FrameDecoder, RefusesContinuationOfNothing) {
  expect_events(frame(kFin | kMore, "x"), {violation(1002)});
  expect_events(frame(kMore, "x"), {violation(1002)});
  expect_events(frame(kFin | kText, "x") + frame(kFin | kMore, "x"), {{Kind::text, "x"}, violation(1002)});
  expect_events(frame(kText, "x") + frame(kFin | kMore, "y") + frame(kFin | kMore, "z"),
                {{Kind::text, "xy"}, violation(1002)});
}

TEST(FrameDecoder, RefusesANewMessageInsideAFragmentedOne) {
  for (int first : {kFin | kText, int(kText), kFin | kBinary, int(kBinary)}) {
    expect_events(frame(kText, "x") + frame(first, "y"), {violation(1002)}, binary_allowed());
    expect_events(frame(kText) + frame(kMore) + frame(first, "y"), {violation(1002)}, binary_allowed());
  }
}

TEST(FrameDecoder, JoinsFragments) {
  expect_events(frame(kText, "a") + frame(kMore, "bc") + frame(kMore) + frame(kFin | kMore, "def"),
                {{Kind::text, "abcdef"}});
  expect_events(frame(kBinary, "\xFF") + frame(kFin | kMore, "\xFE"), {{Kind::binary, "\xFF\xFE"}}, binary_allowed());
  expect_events(frame(kText) + frame(kMore) + frame(kFin | kMore), {{Kind::text, ""}});
  expect_events(frame(kText) + frame(kFin | kMore, "late"), {{Kind::text, "late"}});
  std::string big(70000, 'b');
  expect_events(frame(kText, big) + frame(kMore, "-") + frame(kFin | kMore, big), {{Kind::text, big + "-" + big}});
}

TEST(FrameDecoder, HandsOutControlFramesBetweenFragments) {
  std::string longest(125, 'p');
  expect_events(frame(kFin | kPing, "0") + frame(kText, "a") + frame(kFin | kPing, longest) + frame(kFin | kPong) +
                    frame(kMore, "b") + frame(kFin | kPing, "2") + frame(kFin | kMore, "c") + frame(kFin | kText, "d"),
                {{Kind::ping, "0"},
                 {Kind::ping, longest},
                 {Kind::pong, ""},
                 {Kind::ping, "2"},
                 {Kind::text, "abc"},
                 {Kind::text, "d"}});
  // The message is inside a character while the ping passes.
  expect_events(frame(kText, "\xE4\xB8") + frame(kFin | kPing, "\xFF") + frame(kFin | kMore, "\x96"),
                {{Kind::ping, "\xFF"}, {Kind::text, "世"}});
}

TEST(FrameDecoder, RefusesBinaryUnlessAllowed) {
  expect_events(frame(kFin | kBinary, "x"), {violation(1003)});
  expect_events(frame(kBinary), {violation(1003)});
  expect_events(frame(kFin | kBinary, "\xFF"), {{Kind::binary, "\xFF"}}, binary_allowed());
}

TEST(FrameDecoder, ReadsCloseFrames) {
  expect_events(frame(kFin | kClose), {closed(1005)});
  expect_events(close_frame(1000), {closed(1000)});
  expect_events(close_frame(1001, "going away"), {closed(1001, "going away")});
  expect_events(frame(kText, "open") + close_frame(3000, "世界"), {closed(3000, "世界")});
}

TEST(FrameDecoder, RefusesAClosePayloadOfOneByte) { expect_events(frame(kFin | kClose, "\x03"), {violation(1002)}); }

TEST(FrameDecoder, KnowsWhichCloseCodesMayBeReceived) {
  for (int code = 0; code <= 5100; ++code) {
    bool allowed = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
    ASSERT_THAT(decode(close_frame(code), {}, Side::server, {}), ElementsAre(allowed ? closed(code) : violation(1002)))
        << code;
  }
  for (int code : {999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535}) {
    expect_events(close_frame(code, "why"), {violation(1002)});
  }
}

TEST(FrameDecoder, RefusesACloseReasonThatIsNotUtf8) {
  expect_events(close_frame(1000, "\xFF"), {violation(1007)});
  expect_events(close_frame(1000, "cut \xE4\xB8"), {violation(1007)});
}

TEST(FrameDecoder, IgnoresWhatFollowsAClose) {
  expect_events(close_frame(1000) + frame(kFin | kText, "x") + frame(kFin | kClose) + bytes({0xFF, 0xFF}),
                {closed(1000)});
}

TEST(FrameDecoder, StaysInViolationAndSwallowsTheInput) {
  FrameDecoder decoder({}, Side::server);
  std::string wrong = bytes({0x81, 0x01, 'x'});
  std::span<char> input(wrong);
  EXPECT_EQ(decoder.next(input).code, CloseCode::protocol_error);
  std::string right = frame(kFin | kText, "x");
  input = right;
  Decoded again = decoder.next(input);
  EXPECT_EQ(again.kind, Kind::violation);
  EXPECT_EQ(again.code, CloseCode::protocol_error);
  EXPECT_EQ(again.why, "frame is not masked");
  EXPECT_TRUE(input.empty());
  EXPECT_FALSE(decoder.is_partial());
}

TEST(FrameDecoder, RefusesInvalidUtf8OfEveryClassAtEverySplit) {
  for (const char* wrong : {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF",
                            "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFE", "\xFF", "\xC3(",
                            "\xE4\xB8(", "\xF0\x9F\x98(", "\xF0\x9F\x98"}) {
    SCOPED_TRACE(testing::PrintToString(wrong));
    std::string text = std::string("κόσμε ") + wrong;
    expect_events(frame(kFin | kText, text), {violation(1007)});
    expect_events(frame(kFin | kText, std::string(200, 'a') + text), {violation(1007)});
    for (size_t cut = 0; cut <= text.size(); ++cut) {
      expect_events(frame(kText, text.substr(0, cut)) + frame(kFin | kMore, text.substr(cut)), {violation(1007)});
    }
  }
}

TEST(FrameDecoder, TakesTextThatIsCutInsideCharacters) {
  std::string text = "κ世\xF0\x9F\x98\x80";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    expect_events(frame(kText, text.substr(0, cut)) + frame(kFin | kMore, text.substr(cut)), {{Kind::text, text}});
  }
}

TEST(FrameDecoder, RefusesInvalidUtf8BeforeTheFrameIsComplete) {
  std::string stream = announce(kText, 1000, 2) + masked("a\xED\xA0");
  EXPECT_THAT(decode(stream.substr(0, stream.size() - 1), {}, Side::server, {}), IsEmpty());
  EXPECT_THAT(decode(stream, {}, Side::server, {}), ElementsAre(violation(1007)));
  EXPECT_THAT(decode(stream, std::vector<size_t>(stream.size(), 1), Side::server, {}), ElementsAre(violation(1007)));
}

TEST(FrameDecoder, TakesMessagesUpToTheLimitAndNotOneByteMore) {
  std::string most(300, 'm');
  expect_events(frame(kFin | kText, most), {{Kind::text, most}}, small(300));
  expect_events(frame(kFin | kText, most + "m"), {violation(1009)}, small(300));
  expect_events(frame(kText, most) + frame(kMore) + frame(kFin | kMore), {{Kind::text, most}}, small(300));
  expect_events(frame(kText, most) + frame(kFin | kMore, "m"), {violation(1009)}, small(300));
  expect_events(frame(kFin | kText) + frame(kFin | kPing, "p"), {{Kind::text, ""}, {Kind::ping, "p"}}, small(0));
  expect_events(frame(kFin | kText, "m"), {violation(1009)}, small(0));
}

TEST(FrameDecoder, RefusesWhatIsTooBigFromTheHeaderAlone) {
  std::string gigabyte = announce(kFin | kText, uint64_t{1} << 30, 8);
  expect_events(gigabyte.substr(0, 10), {violation(1009)});  // before the mask has come
  expect_events(announce(kFin | kText, 301, 2).substr(0, 4), {violation(1009)}, small(300));
  expect_events(frame(kText, "x") + announce(kFin | kMore, 300, 2).substr(0, 4), {violation(1009)}, small(300));
}

TEST(FrameDecoder, TakesFragmentsUpToTheLimitAndNotOneMore) {
  for (std::string payload : {"", "f"}) {
    std::string three = frame(kText, payload) + frame(kMore, payload) + frame(kFin | kPing);
    std::string text = payload + payload + payload;
    Events two_of_them = {{Kind::ping, ""}, {Kind::text, text}, {Kind::ping, ""}, {Kind::text, text}};
    expect_events(three + frame(kFin | kMore, payload) + three + frame(kFin | kMore, payload), two_of_them,
                  small(300, 3));
    expect_events(three + frame(kMore, payload) + frame(kFin | kMore, payload), {{Kind::ping, ""}, violation(1008)},
                  small(300, 3));
  }
  expect_events(frame(kFin | kText, "x") + frame(kText, "y") + frame(kFin | kMore),
                {{Kind::text, "x"}, violation(1008)}, small(300, 1));
}

TEST(FrameDecoder, AnswersRandomBytesTheSameHoweverTheyAreCut) {
  for (uint32_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    std::string stream;
    for (int i = 0; i < 8; ++i) {
      constexpr int kFirst[] = {kFin | kText, kText, kMore, kFin | kMore, kFin | kPing, kFin | kBinary, kFin | kClose};
      std::string payload(random() % 150, 'a');
      stream += frame(kFirst[random() % 7], payload);
    }
    stream[random() % stream.size()] = static_cast<char>(random());
    Events whole = decode(stream, {}, Side::server, binary_allowed());
    std::vector<size_t> sizes;
    for (size_t at = 0; at < stream.size(); at += sizes.back()) {
      sizes.push_back(1 + random() % 40);
    }
    EXPECT_THAT(decode(stream, sizes, Side::server, binary_allowed()), ElementsAreArray(whole));
    EXPECT_THAT(decode(stream, std::vector<size_t>(stream.size(), 1), Side::server, binary_allowed()),
                ElementsAreArray(whole));
  }
}

}  // namespace
}  // namespace tidemark::gateway
