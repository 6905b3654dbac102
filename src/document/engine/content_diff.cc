#include "document/engine/content_diff.h"

#include <algorithm>
#include <string>
#include <utility>

namespace tidemark::document::engine {
namespace {

std::vector<Write> writes_between(const PlainObject& from, const PlainObject& to) {
  std::vector<Write> writes;
  for (const auto& [key, value] : to) {
    const auto before = from.find(key);
    if (before == from.end() || before->second != value) {
      writes.push_back({key, value});
    }
  }
  return writes;
}

// What has to be removed, unless something that is written above or below removes it anyway.
void add_removals(const PlainObject& from, const PlainObject& to, bool nested, std::vector<Write>& writes) {
  for (const auto& [key, value] : from) {
    if (to.contains(key)) {
      continue;
    }
    const auto below = to.lower_bound(key + '.');
    bool implied = nested && below != to.end() && is_below(below->first, key);
    for (size_t dot = key.find('.'); nested && dot != std::string::npos; dot = key.find('.', dot + 1)) {
      implied = implied || to.contains(std::string_view(key).substr(0, dot));
    }
    if (!implied) {
      writes.push_back({key, {}});
    }
  }
}

}  // namespace

std::vector<Edit> content_diff(const Plain& from, const Plain& to) {
  static const PlainObject kNone;
  const auto in = [](const Plain& content, const std::string& id) {
    const auto at = content.find(id);
    return at == content.end() ? nullptr : &at->second;
  };
  std::vector<Edit> edits;
  for (const auto& [id, object] : from) {
    if (!id.empty() && !to.contains(id)) {
      edits.push_back({Edit::Kind::remove, id, {}});
    }
  }
  const auto add = [&](const std::string& id, const PlainObject* before, const PlainObject& after) {
    const bool is_new = before == nullptr && !id.empty();
    before = before == nullptr ? &kNone : before;
    Edit edit{is_new ? Edit::Kind::create : Edit::Kind::update, id, writes_between(*before, after)};
    add_removals(*before, after, !id.empty(), edit.writes);
    std::sort(edit.writes.begin(), edit.writes.end(), [](const Write& a, const Write& b) { return a.key < b.key; });
    if (is_new || !edit.writes.empty()) {
      edits.push_back(std::move(edit));
    }
  };
  const PlainObject* const root = in(to, "");
  add("", in(from, ""), root == nullptr ? kNone : *root);
  for (const auto& [id, object] : to) {
    if (!id.empty()) {
      add(id, in(from, id), object);
    }
  }
  return edits;
}

void apply_edit(Plain& content, const Edit& edit) {
  if (edit.kind == Edit::Kind::remove) {
    content.erase(edit.object);
    return;
  }
  PlainObject& object = content[edit.object];
  for (const Write& write : edit.writes) {
    if (!edit.object.empty()) {
      for (auto at = object.lower_bound(write.key + '.'); at != object.end() && is_below(at->first, write.key);) {
        at = object.erase(at);
      }
      for (size_t dot = write.key.find('.'); !write.value.empty() && dot != std::string::npos;
           dot = write.key.find('.', dot + 1)) {
        object.erase(write.key.substr(0, dot));
      }
    }
    if (write.value.empty()) {
      object.erase(write.key);
    } else {
      object.insert_or_assign(write.key, write.value);
    }
  }
}

}  // namespace tidemark::document::engine
