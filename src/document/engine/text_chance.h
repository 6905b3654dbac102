// For tests: random texts and operations from a seed.
#pragma once

#include <random>
#include <string>
#include <string_view>

#include "document/engine/code_points.h"
#include "document/engine/text_operation.h"

namespace tidemark::document::engine {

// Characters of one to four bytes, combining marks, right-to-left letters and a joined emoji in between.
class TextChance {
 public:
  explicit TextChance(uint64_t seed) : random_(seed) {}

  size_t below(size_t bound) { return bound == 0 ? 0 : random_() % bound; }

  std::string text(size_t length_max) {
    static constexpr std::string_view kUnits[] = {"a",       "b", "c", " ",  "\n", "é",
                                                  "e\u0301", "ש", "ع", "漢", "😀",  "👩\u200d💻"};
    std::string text;
    for (size_t left = below(length_max + 1); left > 0; --left) {
      text += kUnits[below(std::size(kUnits))];
    }
    return text;
  }

  // For a text of that length. Mostly one change, as people make them.
  TextOperation operation(size_t length) {
    TextOperation operation;
    for (size_t changes = below(4) == 0 ? 3 : 1; changes > 0; --changes) {
      const size_t skipped = below(length + 1);
      operation.retain(skipped);
      length -= skipped;
      if (below(3) != 0) {
        operation.insert(text(4));
      }
      if (below(2) == 0) {
        const size_t removed = below(std::min<size_t>(length, 5) + 1);
        operation.remove(removed);
        length -= removed;
      }
    }
    return operation;
  }

 private:
  std::mt19937_64 random_;
};

}  // namespace tidemark::document::engine
