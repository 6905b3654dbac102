// Counting in UTF-8. Every text in the engine is valid UTF-8; positions and lengths of texts are code points.
#pragma once

#include <cstddef>
#include <string_view>

namespace tidemark::document::engine {

inline bool starts_code_point(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; }

inline size_t count_code_points(std::string_view text) {
  size_t count = 0;
  for (const char byte : text) {
    count += starts_code_point(byte) ? 1 : 0;
  }
  return count;
}

// Where the code point that has `count` before it begins; the size of the text if it has no more.
inline size_t byte_of_code_point(std::string_view text, size_t count) {
  size_t at = 0;
  for (; at < text.size(); ++at) {
    if (starts_code_point(text[at]) && count-- == 0) {
      return at;
    }
  }
  return at;
}

// Takes `count` code points off the front of `text`.
inline std::string_view take_code_points(std::string_view& text, size_t count) {
  const size_t bytes = byte_of_code_point(text, count);
  const std::string_view taken = text.substr(0, bytes);
  text.remove_prefix(bytes);
  return taken;
}

}  // namespace tidemark::document::engine
