// Objects that would be their own ancestors.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

namespace tidemark::document::engine {

// The canonical JSON of an object's `parent`; empty: it has none.
using ParentOf = std::function<std::string(const std::string& object)>;

// Those on loops that are met on the way up from `objects`. Each object is looked at once, however many there are.
std::set<std::string> objects_on_loops(const std::vector<std::string>& objects, const ParentOf& parent_of);

}  // namespace tidemark::document::engine
