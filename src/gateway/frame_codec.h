// WebSocket frames (RFC 6455, sections 5 and 7.4) between bytes and messages. Pure: no socket, no clock, no thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/error_table.h"
#include "gateway/utf8.h"

namespace tidemark::gateway {

enum class Opcode : uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

constexpr bool is_control(Opcode opcode) { return static_cast<uint8_t>(opcode) >= 8; }

inline constexpr size_t kFrameHeaderMax = 14;      // 2, an 8 byte length, a 4 byte mask
inline constexpr size_t kControlPayloadMax = 125;  // RFC 6455, 5.5
inline constexpr size_t kCloseReasonMax = 123;     // what is left of it beside the code

struct FrameLimits {
  size_t message_bytes = 512 * 1024;  // payload of one message, all fragments together; at most 2 GiB counts
  size_t fragments = 64;              // frames of one message; an unfragmented message is one, an empty frame counts
  bool allow_binary = false;
};

// Which end of the connection decodes. A server requires masked frames, a client unmasked ones (RFC 6455, 5.1).
enum class Side : uint8_t { server, client };

struct Decoded {
  enum class Kind : uint8_t { need_more, text, binary, ping, pong, close, violation };

  Kind kind = Kind::need_more;
  // The bytes; of a close frame, the reason. Valid until the next call; of a message that was compressed, of any decoder on
  // this thread.
  std::string_view payload = {};
  // close: what the peer said, no_status if it said nothing. violation: what to close the connection with
  // (1002, 1003, 1007, 1008 or 1009).
  CloseCode code = CloseCode::no_status;
  std::string_view why = {};  // violation: the broken rule, a static text
};

// A broken rule: what to close the connection with, and a static text that names the rule.
struct FrameViolation {
  CloseCode code;
  std::string_view why;
};

// Turns the bytes of one connection into messages and control frames.
//
// With permessage-deflate (RFC 7692) a message may be compressed; then the limit holds for what came and for what it
// inflates to.
//
// Owner: the connection's worker; lives as long as the connection. Small (80 bytes at most), because most of a million
// connections are idle.
// Promises:
// 1. The outcome depends on the bytes only, not on how they were cut.
// 2. A frame that lies in `input` as a whole is unmasked there and handed out without a copy. Anything else is gathered
//    in one heap buffer, which never holds more than twice what has arrived, nor more than the limit and one control
//    frame, and is gone when the call after the message begins. An idle decoder holds no buffer.
// 3. A message that is too big is refused when its header says so, before any of its payload is kept.
// 4. Invalid UTF-8 in text is refused at the first wrong byte, even in the middle of a frame; in compressed text, when the
//    message is complete. Inflating ends at the limit, before anything beyond it is kept; see core/deflate.h for where.
// Throws std::bad_alloc when memory is out; nothing else.
class FrameDecoder {
 public:
  FrameDecoder(const FrameLimits& limits, Side side);

  // Compressed messages are taken from now on: the handshake has agreed on it, without context takeover.
  void allow_deflate() { allow_deflate_ = true; }

  // The next message or control frame. Takes the bytes it used off the front of `input`, which it may overwrite (it
  // unmasks in place). Call until need_more, which leaves `input` empty. After a violation every call repeats it, and
  // after a close frame every call says need_more (what follows a close means nothing); both swallow the input.
  Decoded next(std::span<char>& input);

  // Heap bytes held now.
  size_t buffered_bytes() const { return capacity_; }

  // Whether a message or frame has begun and is not complete.
  bool is_partial() const { return header_size_ > 0 || in_payload_ || fragments_ > 0; }

 private:
  bool read_header(std::span<char>& input);
  bool gather_header(std::span<char>& input, size_t size);
  const FrameViolation* check_start() const;
  const FrameViolation* check_length(uint64_t length) const;
  void begin_payload(uint64_t length);
  Decoded read_payload(std::span<char>& input);
  Decoded finish_control(std::string_view payload);
  Decoded finish_close(std::string_view payload);
  Decoded finish_message(std::string_view payload);
  const FrameViolation* inflate(std::string_view& payload);
  Decoded break_off(const FrameViolation& violation);
  void append(std::string_view bytes);
  void release_handed_out();

  // 32-bit sizes (the limit is capped accordingly) keep the object small.
  std::unique_ptr<char[]> buffer_;  // the open message, and behind it the open control frame
  const FrameViolation* violation_ = nullptr;
  uint32_t capacity_ = 0;
  uint32_t message_size_ = 0;
  uint32_t frame_left_ = 0;  // payload bytes of the current frame that have not arrived
  uint32_t fragments_ = 0;   // frames of the open message; 0: none is open
  uint32_t message_bytes_max_;
  uint32_t fragments_max_;
  std::array<char, 4> mask_{};  // as it applies to the next payload byte
  std::array<char, kFrameHeaderMax> header_;
  uint8_t header_size_ = 0;
  uint8_t control_size_ = 0;
  Utf8Validator utf8_;
  Opcode opcode_ = Opcode::continuation;   // of the current frame
  Opcode message_ = Opcode::continuation;  // text or binary, while a message is open
  Side side_;
  bool allow_binary_ : 1;
  bool in_payload_ : 1 = false;
  bool final_ : 1 = false;
  bool handed_out_ : 1 = false;
  bool closed_ : 1 = false;
  bool allow_deflate_ : 1 = false;
  bool compressed_ : 1 = false;  // the open message
};

static_assert(sizeof(FrameDecoder) <= 80);

// XORs `bytes` with the mask (RFC 6455, 5.3) and turns the mask so that the next call continues where this one ended.
void apply_mask(std::span<char> bytes, std::array<char, 4>& mask);

// Writes an unmasked header, as a server sends it, with the shortest length encoding. `out` has room for
// kFrameHeaderMax bytes; returns how many were written (2, 4 or 10).
size_t write_frame_header(char* out, Opcode opcode, uint64_t payload_size, bool fin = true);

// One whole unmasked frame. A control frame's payload is at most kControlPayloadMax bytes.
std::string encode_frame(Opcode opcode, std::string_view payload);

// An unmasked close frame. A reason above kCloseReasonMax bytes is cut between two characters. no_status gives the
// frame without a payload; abnormal cannot be sent.
std::string encode_close(CloseCode code, std::string_view reason);

// For clients: appends one whole masked frame. The mask's most significant byte comes first.
void append_masked_frame(std::string& out, Opcode opcode, std::string_view payload, uint32_t mask);

}  // namespace tidemark::gateway
