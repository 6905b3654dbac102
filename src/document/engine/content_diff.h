// From one content of objects to another, as edits.
#pragma once

#include <vector>

#include "document/engine/patch.h"

namespace tidemark::document::engine {

// One edit for each object that differs: removals first, then the root object, then the others. An object that is not
// in `to` is removed.
std::vector<Edit> content_diff(const Plain& from, const Plain& to);

// Changes the content as the edit says, which must fit.
void apply_edit(Plain& content, const Edit& edit);

}  // namespace tidemark::document::engine
