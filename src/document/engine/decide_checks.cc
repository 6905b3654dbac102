// What must hold of a document after the edits.
#include <algorithm>
#include <unordered_map>
#include <utility>

#include "document/engine/decider.h"
#include "document/engine/parents.h"

namespace tidemark::document::engine {

// In the content the root object's registers stand beside the objects: no name may be both.
Decider::Refusal Decider::check_root_name(const std::string& object, const std::string& key) const {
  if (object.empty() && (state_.find(key) != nullptr && !key.empty())) {
    return invalid_field(key, "there is an object with this name");
  }
  return std::nullopt;
}

Decider::Refusal Decider::check_names() const {
  const auto edit_of = [this](const std::string& id) {
    return std::find_if(edits_.begin(), edits_.end(), [&](const Edit& edit) { return edit.object == id; });
  };
  for (const Edit& edit : edits_) {
    if (edit.object.empty()) {
      for (const Write& write : edit.writes) {
        const auto other = edit_of(write.key);
        const bool goes = !write.key.empty() && other != edits_.end() && other->kind == Edit::Kind::remove;
        if (auto refusal = write.value.empty() || goes ? std::nullopt : check_root_name({}, write.key)) {
          return refusal;
        }
      }
    } else if (edit.kind == Edit::Kind::create) {
      const Register* const value = state_.find({}, edit.object);
      const auto root = edit_of({});
      const bool goes =
          root != edits_.end() && std::any_of(root->writes.begin(), root->writes.end(), [&](const Write& write) {
            return write.key == edit.object && write.value.empty();
          });
      if (value != nullptr && !value->cell.empty() && !goes) {
        return invalid_field("id", "the root object has a value with this name");
      }
    }
  }
  return std::nullopt;
}

Decider::Refusal Decider::check_size() const {
  size_t added = 0;
  size_t gone = 0;
  for (const Edit& edit : edits_) {
    added += edit.kind == Edit::Kind::create ? cost(edit.object) : 0;
    if (const Object* const object = state_.find(edit.object); object != nullptr && edit.kind == Edit::Kind::remove) {
      gone += cost(edit.object);
      for (const auto& [key, field] : object->registers) {
        gone += cost(key, field.cell);
      }
    }
    for (const Write& write : edit.writes) {
      added += cost(write.key, Cell{write.value, nullptr});
      if (const Register* const now = state_.find(edit.object, write.key)) {
        gone += cost(write.key, now->cell);
      }
    }
  }
  const size_t max = state_.limits.content_bytes_max;
  if (added > gone && state_.bytes + added - gone > max) {
    return Error{Code::too_large, "the content would be above " + std::to_string(max) + " bytes", "data", 0};
  }
  return std::nullopt;
}

std::set<std::string> Decider::looping_parents() const {
  std::unordered_map<std::string_view, std::string_view> edited;  // object, its parent after the edits
  std::vector<std::string> objects;
  for (const Edit& edit : edits_) {
    const auto write = std::find_if(edit.writes.begin(), edit.writes.end(),
                                    [](const Write& one) { return one.key == "parent"; });
    if (write != edit.writes.end()) {
      edited.emplace(edit.object, write->value);
      objects.push_back(edit.object);
    } else if (edit.kind == Edit::Kind::remove) {
      edited.emplace(edit.object, std::string_view());
    }
  }
  return objects_on_loops(objects, [&](const std::string& object) {
    if (const auto found = edited.find(object); found != edited.end()) {
      return std::string(found->second);
    }
    const Register* const now = state_.find(object, "parent");
    return now == nullptr ? std::string() : now->cell.value();
  });
}

Decider::Refusal Decider::check_parents() {
  const std::set<std::string> looping = looping_parents();
  if (looping.empty()) {
    return std::nullopt;
  }
  for (const Edit& edit : edits_) {
    const auto write = std::find_if(edit.writes.begin(), edit.writes.end(), [](const Write& one) {
      return one.key == "parent" && one.value.starts_with('"');
    });
    if (write == edit.writes.end() || edit.kind == Edit::Kind::remove || edit.object.empty() ||
        !looping.contains(edit.object)) {
      continue;
    }
    if (submission_.policy != Policy::manual) {
      return fail(Code::conflict, edit.object + " would be its own ancestor");
    }
    const Register* const now = state_.find(edit.object, "parent");
    add_conflict(ConflictKind::cycle, path_of(edit.object, "parent"), seen_value(edit.object, "parent"),
                 now == nullptr ? std::string() : now->cell.value(), write->value,
                 versions_of(edit.object, "parent"));
    return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace tidemark::document::engine
