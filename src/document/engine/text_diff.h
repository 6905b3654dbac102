// The difference of two texts as an operation.
//
// Lines first, then code points inside lines that changed: Myers' algorithm ("An O(ND) Difference Algorithm and Its
// Variations", 1986) between the common beginning and end. Where two stretches have too little in common for the effort
// (kDifferencesMax), the one replaces the other as a whole.
#pragma once

#include <string_view>

#include "document/engine/text_operation.h"

namespace tidemark::document::engine {

TextOperation text_diff(std::string_view from, std::string_view to);

}  // namespace tidemark::document::engine
