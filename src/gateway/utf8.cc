#include "gateway/utf8.h"

#include <simdjson.h>

#include <cstring>

namespace tidemark::gateway {
namespace {

// Below this, the call into simdjson costs more than the bytes.
constexpr size_t kVectorMin = 64;
constexpr uint64_t kHighBits = 0x8080808080808080;

bool is_continuation(char byte) { return (static_cast<uint8_t>(byte) & 0xC0) == 0x80; }

// Where the last character begins, so that what is before it can be judged on its own. Without a beginning among the
// last four bytes they are wrong in any case, and all of `bytes` is.
size_t start_of_last_character(std::string_view bytes) {
  for (size_t back = 1; back <= 4 && back <= bytes.size(); ++back) {
    if (!is_continuation(bytes[bytes.size() - back])) {
      return bytes.size() - back;
    }
  }
  return bytes.size();
}

}  // namespace

bool Utf8Validator::feed(std::string_view bytes) {
  if (failed()) {
    return false;
  }
  if (bytes.size() < kVectorMin) {
    return feed_bytes(bytes);
  }
  // The open character has at most three bytes to come; simdjson judges from the first clean byte on.
  size_t head = missing_;
  if (!feed_bytes(bytes.substr(0, head))) {
    return false;
  }
  bytes.remove_prefix(head);
  size_t judged = start_of_last_character(bytes);
  if (!simdjson::validate_utf8(bytes.data(), judged)) {
    return fail();
  }
  return feed_bytes(bytes.substr(judged));
}

bool Utf8Validator::feed_bytes(std::string_view bytes) {
  const char* at = bytes.data();
  const char* end = at + bytes.size();
  while (at != end) {
    if (missing_ == 0) {
      uint64_t word;
      if (end - at >= 8 && (std::memcpy(&word, at, 8), (word & kHighBits) == 0)) {
        at += 8;
        continue;
      }
      if (!start_character(static_cast<uint8_t>(*at++))) {
        return false;
      }
      continue;
    }
    uint8_t byte = static_cast<uint8_t>(*at++);
    if (byte < lowest_ || byte > highest_) {
      return fail();
    }
    --missing_;
    lowest_ = 0x80;
    highest_ = 0xBF;
  }
  return true;
}

// The table of RFC 3629, section 4: the first continuation byte is narrower after E0, ED, F0 and F4.
bool Utf8Validator::start_character(uint8_t lead) {
  if (lead < 0x80) {
    return true;
  }
  if (lead < 0xC2 || lead > 0xF4) {
    return fail();
  }
  missing_ = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
  switch (lead) {
    case 0xE0: lowest_ = 0xA0; break;   // overlong below
    case 0xED: highest_ = 0x9F; break;  // surrogates above
    case 0xF0: lowest_ = 0x90; break;   // overlong below
    case 0xF4: highest_ = 0x8F; break;  // beyond U+10FFFF above
    default: break;
  }
  return true;
}

bool Utf8Validator::fail() {
  missing_ = 1;
  lowest_ = 0xFF;
  highest_ = 0;
  return false;
}

}  // namespace tidemark::gateway
