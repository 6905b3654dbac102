#include "gateway/frame_codec.h"

#include <algorithm>
#include <cstring>

#include "core/deflate.h"

namespace tidemark::gateway {
namespace {

constexpr uint8_t kFinalBit = 0x80;
constexpr uint8_t kReservedBits = 0x70;
constexpr uint8_t kCompressedBit = 0x40;  // RFC 7692, 6: of the first frame of a compressed message
constexpr uint8_t kOpcodeBits = 0x0F;
constexpr uint8_t kMaskBit = 0x80;
constexpr uint8_t kLengthBits = 0x7F;
constexpr uint8_t kLength16 = 126;  // the length follows in 2 bytes
constexpr uint8_t kLength64 = 127;  // the length follows in 8 bytes
constexpr size_t kMaskSize = 4;
constexpr size_t kCloseCodeSize = 2;
constexpr size_t kMessageBytesCap = size_t{1} << 31;

using enum CloseCode;
constexpr FrameViolation kReservedBitSet{protocol_error, "reserved bit set"};
constexpr FrameViolation kReservedOpcode{protocol_error, "reserved opcode"};
constexpr FrameViolation kUnmasked{protocol_error, "frame is not masked"};
constexpr FrameViolation kMasked{protocol_error, "frame is masked"};
constexpr FrameViolation kControlFragmented{protocol_error, "control frame is fragmented"};
constexpr FrameViolation kControlTooLong{protocol_error, "control frame above 125 bytes"};
constexpr FrameViolation kNothingToContinue{protocol_error, "continuation without a message"};
constexpr FrameViolation kMessageOpen{protocol_error, "new message inside a fragmented one"};
constexpr FrameViolation kLengthNotMinimal{protocol_error, "length encoding is not minimal"};
constexpr FrameViolation kLengthNegative{protocol_error, "top bit of the length is set"};
constexpr FrameViolation kCloseTooShort{protocol_error, "close payload of one byte"};
constexpr FrameViolation kCloseCodeInvalid{protocol_error, "close code is not allowed"};
constexpr FrameViolation kCloseReasonNotUtf8{invalid_payload, "close reason is not UTF-8"};
constexpr FrameViolation kTextNotUtf8{invalid_payload, "text is not UTF-8"};
constexpr FrameViolation kBinaryRefused{unsupported_data, "binary message"};
constexpr FrameViolation kTooManyFragments{policy_violation, "too many fragments"};
constexpr FrameViolation kTooBig{message_too_big, "message too big"};
constexpr FrameViolation kNotDeflate{invalid_payload, "compressed data is broken"};

bool is_known(Opcode opcode) { return opcode <= Opcode::binary || (opcode >= Opcode::close && opcode <= Opcode::pong); }

// RFC 6455, 7.4, and the IANA registry of close codes: 1004 to 1006 and 1015 are never on the wire.
bool may_be_received(uint16_t code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

uint64_t read_big_endian(const char* bytes, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) {
    value = value << 8 | static_cast<uint8_t>(bytes[i]);
  }
  return value;
}

void write_big_endian(char* out, uint64_t value, size_t size) {
  for (size_t i = size; i > 0; --i, value >>= 8) {
    out[i - 1] = static_cast<char>(value);
  }
}

size_t extended_length_size(char second_byte) {
  uint8_t length = static_cast<uint8_t>(second_byte) & kLengthBits;
  return length == kLength16 ? 2 : length == kLength64 ? 8 : 0;
}

}  // namespace

FrameDecoder::FrameDecoder(const FrameLimits& limits, Side side)
    : message_bytes_max_(static_cast<uint32_t>(std::min(limits.message_bytes, kMessageBytesCap))),
      fragments_max_(static_cast<uint32_t>(std::min<size_t>(limits.fragments, UINT32_MAX))),
      side_(side),
      allow_binary_(limits.allow_binary) {}

Decoded FrameDecoder::next(std::span<char>& input) {
  release_handed_out();
  if (violation_ || closed_) {
    input = input.subspan(input.size());
    return violation_ ? break_off(*violation_) : Decoded{};
  }
  for (;;) {
    if (!in_payload_ && !read_header(input)) {
      return violation_ ? break_off(*violation_) : Decoded{};
    }
    Decoded decoded = read_payload(input);
    if (in_payload_ || decoded.kind != Decoded::Kind::need_more) {
      return decoded;
    }
  }
}

// True: the header is complete and the payload begins. Each part is judged as soon as it is there, so that a frame that
// cannot be accepted is refused without waiting for the rest of it.
bool FrameDecoder::read_header(std::span<char>& input) {
  if (!gather_header(input, 2) || (violation_ = check_start())) {
    return false;
  }
  size_t extended = extended_length_size(header_[1]);
  if (!gather_header(input, 2 + extended)) {
    return false;
  }
  uint64_t length =
      extended == 0 ? static_cast<uint8_t>(header_[1]) & kLengthBits : read_big_endian(&header_[2], extended);
  if ((violation_ = check_length(length))) {
    return false;
  }
  if (side_ == Side::server) {
    if (!gather_header(input, 2 + extended + kMaskSize)) {
      return false;
    }
    std::copy_n(&header_[2 + extended], kMaskSize, mask_.begin());
  }
  begin_payload(length);
  return true;
}

bool FrameDecoder::gather_header(std::span<char>& input, size_t size) {
  if (header_size_ < size) {
    size_t taken = std::min(size - header_size_, input.size());
    std::copy_n(input.begin(), taken, header_.begin() + header_size_);
    header_size_ += static_cast<uint8_t>(taken);
    input = input.subspan(taken);
  }
  return header_size_ >= size;
}

const FrameViolation* FrameDecoder::check_start() const {
  uint8_t first = static_cast<uint8_t>(header_[0]);
  uint8_t second = static_cast<uint8_t>(header_[1]);
  Opcode opcode = static_cast<Opcode>(first & kOpcodeBits);
  const uint8_t reserved = first & kReservedBits;
  const bool may_be_compressed = allow_deflate_ && (opcode == Opcode::text || opcode == Opcode::binary);
  if (reserved != 0 && !(reserved == kCompressedBit && may_be_compressed)) {
    return &kReservedBitSet;
  }
  if (!is_known(opcode)) {
    return &kReservedOpcode;
  }
  bool masked = second & kMaskBit;
  if (masked != (side_ == Side::server)) {
    return masked ? &kMasked : &kUnmasked;
  }
  if (is_control(opcode)) {
    if (!(first & kFinalBit)) {
      return &kControlFragmented;
    }
    return (second & kLengthBits) > kControlPayloadMax ? &kControlTooLong : nullptr;
  }
  bool continues = opcode == Opcode::continuation;
  if (continues != (fragments_ > 0)) {
    return continues ? &kNothingToContinue : &kMessageOpen;
  }
  if (opcode == Opcode::binary && !allow_binary_) {
    return &kBinaryRefused;
  }
  return fragments_ >= fragments_max_ ? &kTooManyFragments : nullptr;
}

const FrameViolation* FrameDecoder::check_length(uint64_t length) const {
  size_t extended = extended_length_size(header_[1]);
  if ((extended == 2 && length < kLength16) || (extended == 8 && length <= UINT16_MAX)) {
    return &kLengthNotMinimal;
  }
  if (length >> 63) {
    return &kLengthNegative;
  }
  bool control = is_control(static_cast<Opcode>(static_cast<uint8_t>(header_[0]) & kOpcodeBits));
  return !control && length > message_bytes_max_ - message_size_ ? &kTooBig : nullptr;
}

void FrameDecoder::begin_payload(uint64_t length) {
  uint8_t first = static_cast<uint8_t>(header_[0]);
  opcode_ = static_cast<Opcode>(first & kOpcodeBits);
  final_ = first & kFinalBit;
  frame_left_ = static_cast<uint32_t>(length);
  header_size_ = 0;
  in_payload_ = true;
  if (!is_control(opcode_)) {
    ++fragments_;
    if (opcode_ != Opcode::continuation) {
      message_ = opcode_;
      compressed_ = first & kCompressedBit;
    }
  }
}

// need_more with in_payload_ still set: the input is used up. need_more without it: a fragment is complete, the next
// header follows.
Decoded FrameDecoder::read_payload(std::span<char>& input) {
  std::span<char> part = input.first(std::min<size_t>(frame_left_, input.size()));
  input = input.subspan(part.size());
  frame_left_ -= static_cast<uint32_t>(part.size());
  if (side_ == Side::server) {
    apply_mask(part, mask_);
  }
  std::string_view bytes(part.data(), part.size());
  bool control = is_control(opcode_);
  if (!control && message_ == Opcode::text && !compressed_ && !utf8_.feed(bytes)) {
    return break_off(kTextNotUtf8);
  }
  bool complete = frame_left_ == 0;
  in_payload_ = !complete;
  bool ends_unit = complete && (control || final_);
  bool kept_before = control ? control_size_ > 0 : message_size_ > 0;
  if (!ends_unit || kept_before) {
    append(bytes);
    size_t from = control ? message_size_ : 0;
    bytes = std::string_view(buffer_.get() + from, control ? control_size_ : message_size_);
  }
  if (!ends_unit) {
    return {};
  }
  handed_out_ = true;
  return control ? finish_control(bytes) : finish_message(bytes);
}

Decoded FrameDecoder::finish_control(std::string_view payload) {
  switch (opcode_) {
    case Opcode::ping: return {Decoded::Kind::ping, payload};
    case Opcode::pong: return {Decoded::Kind::pong, payload};
    default: return finish_close(payload);
  }
}

Decoded FrameDecoder::finish_close(std::string_view payload) {
  CloseCode code = CloseCode::no_status;
  if (!payload.empty()) {
    if (payload.size() < kCloseCodeSize) {
      return break_off(kCloseTooShort);
    }
    uint16_t number = static_cast<uint16_t>(read_big_endian(payload.data(), kCloseCodeSize));
    if (!may_be_received(number)) {
      return break_off(kCloseCodeInvalid);
    }
    code = static_cast<CloseCode>(number);
    payload.remove_prefix(kCloseCodeSize);
    Utf8Validator reason;
    if (!reason.feed(payload) || !reason.complete()) {
      return break_off(kCloseReasonNotUtf8);
    }
  }
  closed_ = true;
  fragments_ = 0;  // an open message will never be complete
  return {Decoded::Kind::close, payload, code};
}

Decoded FrameDecoder::finish_message(std::string_view payload) {
  if (compressed_) {
    if (const FrameViolation* const violation = inflate(payload)) {
      return break_off(*violation);
    }
  }
  if (message_ == Opcode::text && !utf8_.complete()) {
    return break_off(kTextNotUtf8);
  }
  utf8_.reset();
  fragments_ = 0;
  return {message_ == Opcode::text ? Decoded::Kind::text : Decoded::Kind::binary, payload};
}

const FrameViolation* FrameDecoder::inflate(std::string_view& payload) {
  const Inflated inflated = inflate_message(payload, message_bytes_max_);
  if (inflated.outcome != Inflated::Outcome::whole) {
    return inflated.outcome == Inflated::Outcome::too_big ? &kTooBig : &kNotDeflate;
  }
  payload = inflated.payload;
  return message_ == Opcode::text && !utf8_.feed(payload) ? &kTextNotUtf8 : nullptr;
}

Decoded FrameDecoder::break_off(const FrameViolation& violation) {
  violation_ = &violation;
  buffer_.reset();
  capacity_ = message_size_ = frame_left_ = fragments_ = 0;
  header_size_ = control_size_ = 0;
  in_payload_ = handed_out_ = false;
  return {Decoded::Kind::violation, {}, violation.code, violation.why};
}

void FrameDecoder::append(std::string_view bytes) {
  if (bytes.empty()) {
    return;
  }
  size_t held = size_t{message_size_} + control_size_;
  size_t needed = held + bytes.size();
  if (needed > capacity_) {
    // Doubling keeps the copying linear. The ceiling is what can still come: known exactly in the last frame of a
    // message and in a control frame.
    size_t ceiling = final_ ? needed + frame_left_ : message_bytes_max_;
    size_t capacity = std::max(needed, std::min(2 * needed, ceiling));
    auto grown = std::make_unique_for_overwrite<char[]>(capacity);
    std::copy_n(buffer_.get(), held, grown.get());
    buffer_ = std::move(grown);
    capacity_ = static_cast<uint32_t>(capacity);
  }
  std::copy_n(bytes.data(), bytes.size(), buffer_.get() + held);
  if (is_control(opcode_)) {
    control_size_ += static_cast<uint8_t>(bytes.size());
  } else {
    message_size_ += static_cast<uint32_t>(bytes.size());
  }
}

void FrameDecoder::release_handed_out() {
  if (!handed_out_) {
    return;
  }
  handed_out_ = false;
  control_size_ = 0;
  if (fragments_ == 0) {
    message_size_ = 0;
  }
  if (message_size_ == 0) {
    buffer_.reset();
    capacity_ = 0;
  }
}

void apply_mask(std::span<char> bytes, std::array<char, 4>& mask) {
  std::array<char, 8> pattern;
  std::copy_n(mask.begin(), 4, pattern.begin());
  std::copy_n(mask.begin(), 4, pattern.begin() + 4);
  uint64_t word;
  std::memcpy(&word, pattern.data(), 8);
  char* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; at += 8, left -= 8) {
    uint64_t value;
    std::memcpy(&value, at, 8);
    value ^= word;
    std::memcpy(at, &value, 8);
  }
  for (size_t i = 0; i < left; ++i) {
    at[i] = static_cast<char>(at[i] ^ pattern[i]);
  }
  std::rotate(mask.begin(), mask.begin() + left % 4, mask.end());
}

size_t write_frame_header(char* out, Opcode opcode, uint64_t payload_size, bool fin) {
  out[0] = static_cast<char>((fin ? kFinalBit : 0) | static_cast<uint8_t>(opcode));
  if (payload_size < kLength16) {
    out[1] = static_cast<char>(payload_size);
    return 2;
  }
  size_t extended = payload_size <= UINT16_MAX ? 2 : 8;
  out[1] = static_cast<char>(extended == 2 ? kLength16 : kLength64);
  write_big_endian(out + 2, payload_size, extended);
  return 2 + extended;
}

std::string encode_frame(Opcode opcode, std::string_view payload) {
  TIDEMARK_CHECK(!is_control(opcode) || payload.size() <= kControlPayloadMax);
  char header[kFrameHeaderMax];
  size_t header_size = write_frame_header(header, opcode, payload.size());
  std::string frame;
  frame.reserve(header_size + payload.size());
  return frame.append(header, header_size).append(payload);
}

std::string encode_close(CloseCode code, std::string_view reason) {
  TIDEMARK_CHECK(code != CloseCode::abnormal);
  if (code == CloseCode::no_status) {
    return encode_frame(Opcode::close, {});
  }
  if (reason.size() > kCloseReasonMax) {
    size_t size = kCloseReasonMax;
    while (size > 0 && (static_cast<uint8_t>(reason[size]) & 0xC0) == 0x80) {
      --size;
    }
    reason = reason.substr(0, size);
  }
  char number[kCloseCodeSize];
  write_big_endian(number, static_cast<uint16_t>(code), kCloseCodeSize);
  return encode_frame(Opcode::close, std::string(number, kCloseCodeSize).append(reason));
}

void append_masked_frame(std::string& out, Opcode opcode, std::string_view payload, uint32_t mask) {
  TIDEMARK_CHECK(!is_control(opcode) || payload.size() <= kControlPayloadMax);
  char header[kFrameHeaderMax];
  size_t header_size = write_frame_header(header, opcode, payload.size());
  header[1] = static_cast<char>(static_cast<uint8_t>(header[1]) | kMaskBit);
  std::array<char, kMaskSize> key;
  write_big_endian(key.data(), mask, kMaskSize);
  out.reserve(out.size() + header_size + kMaskSize + payload.size());
  out.append(header, header_size).append(key.data(), key.size()).append(payload);
  apply_mask(std::span(out).last(payload.size()), key);
}

}  // namespace tidemark::gateway
