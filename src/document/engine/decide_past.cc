// What the author of a submission saw, and what others have done since.
#include <algorithm>
#include <iterator>
#include <utility>

#include "document/engine/decider.h"

namespace tidemark::document::engine {

const PlainObject& Decider::seen_object(const std::string& object) {
  static const PlainObject kNone;
  if (!seen_first_) {
    seen_first_ = SeenObject{object, state_.object(object, out_.base, submission_.session)};
  }
  if (seen_first_->id == object) {
    return seen_first_->registers;
  }
  if (!seen_all_) {
    seen_all_ = state_.plain(out_.base, submission_.session);
  }
  const auto found = seen_all_->find(object);
  return found == seen_all_->end() ? kNone : found->second;
}

std::string Decider::seen_value(const std::string& object, const std::string& key) {
  const PlainObject& seen = seen_object(object);
  const auto found = seen.find(key);
  return found == seen.end() ? std::string() : found->second;
}

std::vector<uint64_t> Decider::versions_of(const std::string& object, const std::string& key) {
  if (!news_) {
    news_.emplace();
    for (auto entry = state_.after(out_.base); entry != state_.history.end(); ++entry) {
      if (!is_news(entry->version, entry->session)) {
        continue;
      }
      for (const Change& change : entry->changes) {
        auto& versions = (*news_)[{change.object, change.key}];
        if (versions.empty() || versions.back() != entry->version) {
          versions.push_back(entry->version);
        }
      }
    }
  }
  std::vector<uint64_t> versions = (*news_)[{object, key}];
  if (!key.empty()) {
    std::vector<uint64_t> together;
    const std::vector<uint64_t>& of_object = (*news_)[{object, std::string()}];
    std::set_union(versions.begin(), versions.end(), of_object.begin(), of_object.end(), std::back_inserter(together));
    versions = std::move(together);
  }
  return versions;
}

}  // namespace tidemark::document::engine
