// Randomness as an argument: the system's generator in the program, a seed in tests.
#pragma once

#include <cstdint>
#include <random>
#include <span>

namespace tidemark {

class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(std::span<unsigned char> bytes) = 0;

  uint64_t next() {
    unsigned char bytes[8];
    fill(bytes);
    uint64_t value = 0;
    for (const unsigned char byte : bytes) {
      value = value << 8 | byte;
    }
    return value;
  }
  // Uniform enough for delays: 0 <= result < bound; bound must not be 0.
  uint64_t below(uint64_t bound) { return next() % bound; }
};

// Cryptographically secure (OpenSSL's generator). May be used from any thread.
class SystemRandom final : public Random {
 public:
  void fill(std::span<unsigned char> bytes) override;
};

class SeededRandom final : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : engine_(seed) {}
  void fill(std::span<unsigned char> bytes) override {
    for (unsigned char& byte : bytes) {
      byte = static_cast<unsigned char>(engine_() >> 24);
    }
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace tidemark
