// Operations on texts: of a text document, and in registers.
#include <algorithm>
#include <utility>

#include "document/engine/code_points.h"
#include "document/engine/decider.h"
#include "document/engine/text_overlap.h"

namespace tidemark::document::engine {

Result<std::optional<TextOperation>> Decider::place(const Text& text, const TextEdit& edit) {
  static const TextShape kNothing;
  std::optional<TextOperation> placed;
  const TextShape& shape = text.is_seen(out_.base) ? kNothing : text.since(out_.base, submission_.session);
  const auto length = static_cast<size_t>(static_cast<ptrdiff_t>(text.length()) - shape.growth());
  if (edit.operation.base_length() > length) {
    return invalid_field("ops", "reach over " + std::to_string(edit.operation.base_length()) +
                                    " code points of a text of " + std::to_string(length));
  }
  if (!shape.empty()) {
    placed = shape.rebase(edit.operation);
    trail_.texts.push_back(edit);
    if (auto overlap = find_overlap(text, shape, edit.operation)) {
      add_conflict(ConflictKind::text_overlap, state_.kind == Kind::text ? "text" : path_of(edit.object, edit.key),
                   json_string(overlap->base), json_string(overlap->ours), json_string(overlap->theirs),
                   std::move(overlap->versions));
    }
  }
  // What it removes is only looked up where it matters.
  const size_t bytes = state_.kind == Kind::text ? text.bytes() : state_.bytes;
  const size_t bytes_max = state_.limits.content_bytes_max;
  const TextOperation& now = placed ? *placed : edit.operation;
  if (bytes + now.inserted().size() > bytes_max &&
      bytes + now.inserted().size() - now.removed_from(text.str()).size() > std::max(bytes, bytes_max)) {
    return Error{Code::too_large, "the content would be above " + std::to_string(bytes_max) + " bytes", "ops", 0};
  }
  if (placed && *placed == edit.operation) {
    placed.reset();
  }
  return placed;
}

Decider::Refusal Decider::decide_text(TextEdit&& edit) {
  auto placed = place(state_.body, edit);
  if (!placed) {
    return placed.error();
  }
  as_sent_ = as_sent_ && !*placed;
  if (as_sent_) {
    state_.understood.note(submission_.data, std::move(edit));
  } else {
    out_.type = "text";
    out_.data = data_of(TextEdit{{}, {}, std::move(*placed).value_or(edit.operation)}, Kind::text);
  }
  return std::nullopt;
}

// The author's operation meets something that is no longer the text they saw: it has no effect, but the record shows
// what the author would have had.
Decider::Refusal Decider::text_without_effect(ConflictKind kind, const TextEdit& edit, std::string ours) {
  if (forced()) {
    return fail(Code::conflict, "the text that this was made for is gone");
  }
  std::string base = seen_value(edit.object, edit.key);
  const std::string text = base.starts_with('"') ? text_of_json(base) : std::string();
  if (edit.operation.base_length() > count_code_points(text)) {
    return invalid_field("ops", "reach over more than the text that this version had");
  }
  std::string theirs = json_string(edit.operation.applied_to(text));
  if (kind == ConflictKind::edit_delete) {
    PlainObject object = seen_object(edit.object);
    base = object_json(object);
    object.insert_or_assign(edit.key, std::move(theirs));
    theirs = object_json(object);
  }
  add_conflict(kind, path_of(edit.object, edit.key), std::move(base), std::move(ours), std::move(theirs),
               versions_of(edit.object, edit.key));
  as_sent_ = submission_.policy == Policy::manual;
  say_edits();
  return std::nullopt;
}

Decider::Refusal Decider::decide_object_text(const TextEdit& edit) {
  if (!edit.object.empty() && state_.find(edit.object) == nullptr) {
    const auto tombstone = state_.tombstones.find(edit.object);
    if (tombstone == state_.tombstones.end() || !is_news(tombstone->second.version, tombstone->second.session)) {
      return fail(Code::not_found, "there is no object " + edit.object);
    }
    return text_without_effect(ConflictKind::edit_delete, edit, object_json(tombstone->second.registers));
  }
  const Register* const now = state_.find(edit.object, edit.key);
  const auto text = state_.text_of(edit.object, edit.key);
  if (text == nullptr && !is_news(now->version, now->session)) {
    return invalid_field("key", "there is no text in " + edit.key);
  }
  if (text == nullptr || is_news(text->origin().version, text->origin().session)) {
    return text_without_effect(ConflictKind::write_write, edit, now == nullptr ? std::string() : now->cell.value());
  }
  auto placed = place(*text, edit);
  if (!placed) {
    return placed.error();
  }
  meet_around(edit.object, edit.key, edit.operation.json());
  as_sent_ = as_sent_ && !*placed;
  if (!as_sent_) {
    out_.type = "text";
    out_.data = data_of(TextEdit{edit.object, edit.key, std::move(*placed).value_or(edit.operation)}, Kind::objects);
  }
  return check_root_name(edit.object, edit.key);
}

}  // namespace tidemark::document::engine
