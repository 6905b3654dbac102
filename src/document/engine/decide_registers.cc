// Where the write of a register meets another session's.
#include <utility>

#include "document/engine/decider.h"
#include "document/engine/text_diff.h"

namespace tidemark::document::engine {

void Decider::meet_register(const std::string& object, const std::string& key, const Register& now,
                            const std::string& theirs) {
  if (is_news(now.version, now.session) && !now.cell.is(theirs)) {
    add_conflict(ConflictKind::write_write, path_of(object, key), seen_value(object, key), now.cell.value(), theirs,
                 versions_of(object, key));
  }
}

// Registers above and below one that gets a value: they lose theirs.
void Decider::meet_around(const std::string& object, const std::string& key, const std::string& theirs) {
  const Object* const found = state_.find(object);
  if (found == nullptr || object.empty()) {
    return;
  }
  const auto meet_loser = [&](const std::string& path, const Register& now) {
    if (!now.cell.empty()) {
      meet_register(object, path, now, theirs);
    }
  };
  for (size_t dot = key.find('.'); !theirs.empty() && dot != std::string::npos; dot = key.find('.', dot + 1)) {
    if (const auto above = found->registers.find(std::string_view(key).substr(0, dot));
        above != found->registers.end()) {
      meet_loser(above->first, above->second);
    }
  }
  for (auto at = found->registers.lower_bound(key + '.'); at != found->registers.end() && is_below(at->first, key);
       ++at) {
    meet_loser(at->first, at->second);
  }
}

void Decider::meet(const std::string& object, Write& write) {
  if (const Register* const now = state_.find(object, write.key)) {
    meet_register(object, write.key, *now, write.value);
    if (merge_text(object, write)) {
      as_sent_ = false;
    }
  }
  meet_around(object, write.key, write.value);
}

// A whole new text of an author who saw an older one becomes the difference to that. False: it stays as it is, as it
// also does where others have removed the text.
bool Decider::merge_text(const std::string& object, Write& write) {
  const Register& now = *state_.find(object, write.key);
  const bool is_text = now.cell.text != nullptr || write.key == "text";
  if (submission_.policy == Policy::lww || !is_text || !write.value.starts_with('"') || now.cell.empty() ||
      now.cell.is(write.value) || now.version <= out_.base) {
    return false;
  }
  const auto text = state_.text_of(object, write.key);
  if (text == nullptr || is_news(text->origin().version, text->origin().session)) {
    return false;
  }
  const TextShape& shape = text->since(out_.base, submission_.session);
  if (shape.empty()) {
    return false;
  }
  TextOperation operation = text_diff(text->seen(shape), text_of_json(write.value));
  write.value = json_string(shape.rebase(operation).applied_to(text->str()));
  trail_.texts.push_back({object, write.key, std::move(operation)});
  return true;
}

}  // namespace tidemark::document::engine
