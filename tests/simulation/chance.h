// Chance: every choice of a run, from its seed.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace tidemark::simulation {

class Chance {
 public:
  explicit Chance(uint64_t seed) : engine_(seed) {}

  // 0 <= result < bound; bound must not be 0. Not std::uniform_int_distribution, which differs between libraries.
  uint64_t below(uint64_t bound) { return engine_() % bound; }
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(below(static_cast<uint64_t>(high - low + 1)));
  }
  bool one_in(uint64_t bound) { return below(bound) == 0; }
  bool percent(uint64_t share) { return below(100) < share; }
  template <class T>
  const T& of(const std::vector<T>& all) {
    return all[below(all.size())];
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace tidemark::simulation
