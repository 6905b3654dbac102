// Utf8Validator: is a stream of bytes UTF-8, asked piece by piece?
//
// A value with three bytes of state; belongs to whoever feeds it. Promises: the answer does not depend on where the
// stream is cut, and feed() says false at the first byte that no continuation could make valid (RFC 3629: no overlong
// forms, no surrogates, nothing above U+10FFFF). Never allocates, never waits.
#pragma once

#include <cstdint>
#include <string_view>

namespace tidemark::gateway {

class Utf8Validator {
 public:
  // False: the stream is not UTF-8, whatever follows; every later call says so too, until reset().
  bool feed(std::string_view bytes);

  // True at the end of a character (also at the very beginning). False within one, and after a failure.
  bool complete() const { return missing_ == 0; }

  void reset() { *this = Utf8Validator(); }

 private:
  bool feed_bytes(std::string_view bytes);
  bool start_character(uint8_t lead);
  bool fail();
  bool failed() const { return lowest_ > highest_; }

  uint8_t missing_ = 0;  // continuation bytes that the open character still needs
  // What the next continuation byte may be. An empty range is the state after a failure.
  uint8_t lowest_ = 0x80;
  uint8_t highest_ = 0xBF;
};

}  // namespace tidemark::gateway
