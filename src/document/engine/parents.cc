#include "document/engine/parents.h"

#include <algorithm>
#include <unordered_map>

#include "document/engine/state.h"

namespace tidemark::document::engine {

std::set<std::string> objects_on_loops(const std::vector<std::string>& objects, const ParentOf& parent_of) {
  std::set<std::string> looping;
  std::unordered_map<std::string, size_t> walks;  // object, the walk that came by
  for (size_t walk = 0; walk < objects.size(); ++walk) {
    std::vector<std::string> path;
    for (std::string id = objects[walk];;) {
      const auto [seen, fresh] = walks.emplace(id, walk);
      if (!fresh) {
        if (seen->second == walk) {
          looping.insert(std::find(path.begin(), path.end(), id), path.end());
        }
        break;
      }
      path.push_back(id);
      const std::string parent = parent_of(id);
      if (!parent.starts_with('"')) {
        break;
      }
      id = text_of_json(parent);
    }
  }
  return looping;
}

}  // namespace tidemark::document::engine
