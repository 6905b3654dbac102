// text_overlap: an operation on a text that meets what others did there meanwhile, more than side by side.
//
// Two cases (docs/protocol.md): an insertion between two characters that both have been removed since; and a
// replacement of characters of which others have replaced some.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "document/engine/text.h"

namespace tidemark::document::engine {

struct TextOverlap {
  std::string base;    // the stretch that the author saw
  std::string ours;    // what it has become meanwhile
  std::string theirs;  // what the author made of it
  std::vector<uint64_t> versions;
};

// `shape` is what Text::since() gave for the author of the operation.
std::optional<TextOverlap> find_overlap(const Text& text, const TextShape& shape, const TextOperation& operation);

}  // namespace tidemark::document::engine
