// DEFLATE for permessage-deflate (RFC 7692, 7.2): whole messages, and nothing is remembered from one to the next.
//
// Any thread. Each thread has one zlib state for either direction and one buffer for either result, made when they are
// first needed, so a connection holds nothing. A result is valid until the same function is called again on the thread.
// Throws std::bad_alloc when memory is out; nothing else.
#pragma once

#include <cstddef>
#include <string_view>

namespace tidemark {

// What deflate_message() looks back: 2^12 bytes. A peer that can keep no more than that can still inflate the result,
// and one result does for all.
inline constexpr int kDeflateWindowBits = 12;

// The payload of a compressed message: without the four bytes that every message would end with (7.2.1).
std::string_view deflate_message(std::string_view payload);

struct Inflated {
  enum class Outcome { whole, too_big, broken };
  Outcome outcome;
  std::string_view payload;  // of a whole one
};

// Inflates what any window made. Stops as soon as there is more than `bytes_max`: never holds more than that and one byte.
// `broken` if it is no DEFLATE, or ends in the middle of a block.
Inflated inflate_message(std::string_view compressed, size_t bytes_max);

}  // namespace tidemark
