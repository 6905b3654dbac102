// What a fuzz target is: a function that takes any bytes, and must neither crash nor break what it checks.
//
// Each x_fuzz.cc holds the one target `x`. With clang it becomes the libFuzzer program fuzz_x (script/fuzz). Every
// build of the unit tests runs all targets over their corpora (corpus_test.cc), so that a finding stays mended.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace tidemark::fuzz {

struct Target {
  std::string_view name;
  void (*run)(std::string_view bytes);
};

// Filled before main() by FUZZ_TARGET.
inline std::vector<Target>& targets() {
  static std::vector<Target> all;
  return all;
}

struct Registration {
  explicit Registration(const Target& target) { targets().push_back(target); }
};

#define FUZZ_TARGET(name, bytes)                                                             \
  static void fuzz_##name(std::string_view bytes);                                           \
  static const ::tidemark::fuzz::Registration registration_of_##name({#name, &fuzz_##name}); \
  static void fuzz_##name(std::string_view bytes)

// Takes what a target needs to decide off the front of its bytes. What is not there is zero.
class Choices {
 public:
  explicit Choices(std::string_view& bytes) : bytes_(bytes) {}

  uint32_t number(size_t bytes) {
    uint32_t value = 0;
    for (; bytes > 0 && !bytes_.empty(); --bytes) {
      value = value << 8 | static_cast<uint8_t>(bytes_.front());
      bytes_.remove_prefix(1);
    }
    return value;
  }

 private:
  std::string_view& bytes_;
};

// Where a stream is cut, from a seed (xorshift; any seed gives progress).
class Cuts {
 public:
  explicit Cuts(uint32_t seed) : state_(seed | 1) {}

  // The size of the next piece: mostly small, at least 1.
  size_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    state_ ^= state_ << 5;
    return 1 + (state_ >> 8) % (state_ % 4 == 0 ? 4096 : 7);
  }
  size_t next(size_t left) { return left < 2 ? left : std::min(next(), left); }

 private:
  uint32_t state_;
};

}  // namespace tidemark::fuzz
