// Compressed messages on the wire: the outcome depends on the bytes, not on how they were cut, and no message grows
// beyond the limit.
#include <simdjson.h>

#include <string>

#include "core/deflate.h"
#include "fuzz.h"
#include "gateway/frame_codec.h"

namespace tidemark::gateway {
namespace {

struct Outcome {
  Decoded::Kind kind;
  std::string payload;
  CloseCode code;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

std::vector<Outcome> decode(std::string_view bytes, const FrameLimits& limits, fuzz::Cuts* cuts) {
  FrameDecoder decoder(limits, Side::client);
  decoder.allow_deflate();
  std::vector<Outcome> outcomes;
  while (!bytes.empty()) {
    std::string piece(bytes.substr(0, cuts == nullptr ? bytes.size() : cuts->next(bytes.size())));
    bytes.remove_prefix(piece.size());
    std::span<char> input(piece);
    for (;;) {
      const Decoded decoded = decoder.next(input);
      TIDEMARK_CHECK(decoder.buffered_bytes() <= limits.message_bytes + kControlPayloadMax);
      if (decoded.kind == Decoded::Kind::need_more) {
        break;
      }
      TIDEMARK_CHECK(decoded.payload.size() <= std::max(limits.message_bytes, kControlPayloadMax));
      TIDEMARK_CHECK(decoded.kind != Decoded::Kind::text ||
                     simdjson::validate_utf8(decoded.payload.data(), decoded.payload.size()));
      outcomes.push_back({decoded.kind, std::string(decoded.payload), decoded.code});
      if (decoded.kind == Decoded::Kind::violation) {
        return outcomes;
      }
    }
  }
  return outcomes;
}

// The bytes as frames, and as the payload of one compressed message in two fragments.
void check(std::string_view bytes, const FrameLimits& limits, uint32_t seed) {
  fuzz::Cuts cuts(seed);
  TIDEMARK_CHECK(decode(bytes, limits, nullptr) == decode(bytes, limits, &cuts));
}

std::string compressed_frames(std::string_view payload, size_t cut) {
  cut = std::min(cut, payload.size());
  char header[kFrameHeaderMax];
  std::string frames;
  size_t size = write_frame_header(header, Opcode::text, cut, false);
  header[0] = static_cast<char>(header[0] | 0x40);  // RSV1
  frames.append(header, size).append(payload.substr(0, cut));
  size = write_frame_header(header, Opcode::continuation, payload.size() - cut);
  return frames.append(header, size).append(payload.substr(cut));
}

}  // namespace

FUZZ_TARGET(frames_deflate, bytes) {
  fuzz::Choices choices(bytes);
  FrameLimits limits;
  limits.message_bytes = 1 + choices.number(2);
  limits.allow_binary = true;
  const uint32_t seed = choices.number(2);
  check(bytes, limits, seed);
  check(compressed_frames(bytes, seed), limits, seed);
  check(compressed_frames(deflate_message(bytes), seed), limits, seed);
}

}  // namespace tidemark::gateway
