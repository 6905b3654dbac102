// Trail: how an author saw operations on texts that were placed over others' (Decision::trail). A value.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "document/engine/patch.h"

namespace tidemark::document::engine {

struct Trail {
  uint64_t seen = 0;  // the version that the author saw
  std::vector<TextEdit> texts;

  const TextEdit* find(std::string_view object, std::string_view key) const;
  std::string json() const;  // empty if there are no texts
  static Result<Trail> parse(std::string_view json);
};

}  // namespace tidemark::document::engine
