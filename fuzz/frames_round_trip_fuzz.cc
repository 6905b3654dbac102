// What is encoded is decoded to the same, however the bytes are cut on the way.
#include <simdjson.h>

#include <string>

#include "fuzz.h"
#include "gateway/frame_codec.h"

namespace tidemark::gateway {
namespace {

struct Sent {
  Opcode opcode;
  std::string payload;
};

// The bytes are read as commands: an opcode, a size, so many payload bytes.
std::vector<Sent> read_plan(std::string_view bytes) {
  constexpr Opcode kOpcodes[] = {Opcode::text, Opcode::binary, Opcode::ping, Opcode::pong};
  std::vector<Sent> plan;
  fuzz::Choices choices(bytes);
  while (!bytes.empty()) {
    const uint32_t what = choices.number(1);
    const Opcode opcode = kOpcodes[what & 3];
    size_t size = choices.number((what & 4) != 0 ? 2 : 1);
    size = std::min(size, is_control(opcode) ? kControlPayloadMax : size);
    std::string payload(bytes.substr(0, size));
    bytes.remove_prefix(payload.size());
    if ((what & 8) != 0 && !is_control(opcode)) {
      payload.append(size, 'x');
    }
    if (opcode != Opcode::text || simdjson::validate_utf8(payload.data(), payload.size())) {
      plan.push_back({opcode, std::move(payload)});
    }
  }
  return plan;
}

Decoded::Kind kind_of(Opcode opcode) {
  switch (opcode) {
    case Opcode::text:
      return Decoded::Kind::text;
    case Opcode::binary:
      return Decoded::Kind::binary;
    case Opcode::ping:
      return Decoded::Kind::ping;
    default:
      return Decoded::Kind::pong;
  }
}

void check(const std::vector<Sent>& plan, std::string wire, Side side, fuzz::Cuts& cuts) {
  FrameLimits limits;
  limits.allow_binary = true;
  FrameDecoder decoder(limits, side);
  size_t got = 0;
  for (std::span<char> rest(wire); !rest.empty();) {
    std::span<char> piece = rest.first(cuts.next(rest.size()));
    rest = rest.subspan(piece.size());
    for (Decoded decoded = decoder.next(piece); decoded.kind != Decoded::Kind::need_more;
         decoded = decoder.next(piece)) {
      TIDEMARK_CHECK(got < plan.size() && decoded.kind == kind_of(plan[got].opcode));
      TIDEMARK_CHECK(decoded.payload == plan[got].payload);
      ++got;
    }
  }
  TIDEMARK_CHECK(got == plan.size() && !decoder.is_partial());
}

}  // namespace

FUZZ_TARGET(frames_round_trip, bytes) {
  fuzz::Choices choices(bytes);
  const uint32_t mask = choices.number(4);
  fuzz::Cuts cuts(mask);
  const std::vector<Sent> plan = read_plan(bytes);
  std::string masked;
  std::string plain;
  for (const Sent& sent : plan) {
    append_masked_frame(masked, sent.opcode, sent.payload, mask);
    plain += encode_frame(sent.opcode, sent.payload);
  }
  check(plan, std::move(masked), Side::server, cuts);
  check(plan, std::move(plain), Side::client, cuts);
}

}  // namespace tidemark::gateway
