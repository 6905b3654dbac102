// WebSocket frames: the outcome depends on the bytes, not on how they were cut, and memory stays within its promise.
#include <simdjson.h>

#include <string>

#include "fuzz.h"
#include "gateway/frame_codec.h"

namespace tidemark::gateway {
namespace {

struct Outcome {
  Decoded::Kind kind;
  std::string payload;
  CloseCode code;
  std::string_view why;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

bool is_utf8(std::string_view text) { return simdjson::validate_utf8(text.data(), text.size()); }

void check(const Outcome& outcome, const FrameLimits& limits) {
  switch (outcome.kind) {
    case Decoded::Kind::text:
      TIDEMARK_CHECK(is_utf8(outcome.payload));
      [[fallthrough]];
    case Decoded::Kind::binary:
      TIDEMARK_CHECK(outcome.payload.size() <= limits.message_bytes);
      TIDEMARK_CHECK(outcome.kind == Decoded::Kind::text || limits.allow_binary);
      return;
    case Decoded::Kind::close:
      TIDEMARK_CHECK(is_utf8(outcome.payload));
      [[fallthrough]];
    case Decoded::Kind::ping:
    case Decoded::Kind::pong:
      TIDEMARK_CHECK(outcome.payload.size() <= kControlPayloadMax);
      return;
    case Decoded::Kind::violation:
      TIDEMARK_CHECK(!outcome.why.empty());
      return;
    case Decoded::Kind::need_more:
      return;
  }
}

// `cuts` null: all at once.
std::vector<Outcome> decode(std::string_view bytes, const FrameLimits& limits, Side side, fuzz::Cuts* cuts) {
  FrameDecoder decoder(limits, side);
  std::vector<Outcome> outcomes;
  size_t arrived = 0;
  while (arrived < bytes.size()) {
    const size_t size = cuts == nullptr ? bytes.size() : cuts->next(bytes.size() - arrived);
    std::string piece(bytes.substr(arrived, size));
    arrived += size;
    std::span<char> input(piece);
    for (;;) {
      const Decoded decoded = decoder.next(input);
      TIDEMARK_CHECK(decoder.buffered_bytes() <= std::min(2 * arrived, limits.message_bytes + kControlPayloadMax));
      if (decoded.kind == Decoded::Kind::need_more) {
        TIDEMARK_CHECK(input.empty());
        break;
      }
      outcomes.push_back({decoded.kind, std::string(decoded.payload), decoded.code, decoded.why});
      check(outcomes.back(), limits);
      if (decoded.kind == Decoded::Kind::violation) {
        TIDEMARK_CHECK(decoder.next(input).kind == Decoded::Kind::violation);
        TIDEMARK_CHECK(decoder.buffered_bytes() == 0);
        return outcomes;
      }
    }
  }
  return outcomes;
}

}  // namespace

FUZZ_TARGET(frames, bytes) {
  fuzz::Choices choices(bytes);
  FrameLimits limits;
  limits.message_bytes = 1 + choices.number(2);
  const uint32_t mode = choices.number(1);
  limits.allow_binary = (mode & 1) != 0;
  limits.fragments = 1 + (mode >> 2);
  const Side side = (mode & 2) != 0 ? Side::client : Side::server;
  fuzz::Cuts cuts(choices.number(2));
  TIDEMARK_CHECK(decode(bytes, limits, side, nullptr) == decode(bytes, limits, side, &cuts));
}

}  // namespace tidemark::gateway
