// UUIDs (RFC 9562): version 7, made from time and randomness, and version 8, made from a hash.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/clock.h"
#include "core/random.h"

namespace tidemark {

struct Uuid {
  std::array<unsigned char, 16> bytes{};

  // Lower case, 36 characters.
  std::string str() const;
  friend bool operator==(const Uuid&, const Uuid&) = default;
};

// Version 7: 48 bits of Unix milliseconds, then 74 random bits; sorts by time of making.
Uuid make_uuid7(const Clock& clock, Random& random);

// Version 8 from SHA-256 of the parts, each preceded by its length: the same parts give the same id on every node.
Uuid make_uuid8(std::initializer_list<std::string_view> parts);

}  // namespace tidemark
