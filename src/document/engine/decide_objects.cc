// Edits of objects: created, changed, deleted, while others did the same.
#include <algorithm>
#include <utility>

#include "document/engine/content_diff.h"
#include "document/engine/decider.h"

namespace tidemark::document::engine {
namespace {

PlainObject with_writes(PlainObject object, const Edit& edit) {
  Plain content;
  content[edit.object] = std::move(object);
  apply_edit(content, edit);
  return std::move(content[edit.object]);
}

PlainObject object_of(const Edit& edit) { return with_writes({}, edit); }

std::string first_key(const Edit& edit) { return edit.writes.empty() ? std::string() : edit.writes.front().key; }

std::vector<Write> writes_of(const PlainObject& object) {
  std::vector<Write> writes;
  for (const auto& [key, value] : object) {
    writes.push_back({key, value});
  }
  return writes;
}

}  // namespace

Decider::Refusal Decider::decide_edits(std::vector<Edit> edits) {
  for (Edit& edit : edits) {
    Refusal refusal;
    switch (edit.kind) {
      case Edit::Kind::create:
        refusal = decide_create(std::move(edit));
        break;
      case Edit::Kind::update:
        refusal = decide_update(std::move(edit));
        break;
      case Edit::Kind::remove:
        refusal = decide_remove(std::move(edit));
        break;
    }
    if (refusal) {
      return refusal;
    }
  }
  say_edits();
  if (auto refusal = check_names()) {
    return refusal;
  }
  if (auto refusal = check_size()) {
    return refusal;
  }
  return check_parents();
}

Decider::Refusal Decider::decide_create(Edit edit) {
  const Object* const now = state_.find(edit.object);
  if (now == nullptr) {
    const auto tombstone = state_.tombstones.find(edit.object);
    if (tombstone != state_.tombstones.end() && is_news(tombstone->second.version, tombstone->second.session)) {
      return edit_of_deleted(std::move(edit), tombstone->second);
    }
    edits_.push_back(std::move(edit));
    return std::nullopt;
  }
  const PlainObject ours = state_.object(edit.object, state_.version, {});
  const PlainObject theirs = object_of(edit);
  if (ours == theirs) {
    edits_.push_back(std::move(edit));
    return std::nullopt;
  }
  if (submission_.policy == Policy::lww) {
    return fail(Code::conflict, "there is an object " + edit.object + " already");
  }
  const auto differs = std::find_if(theirs.begin(), theirs.end(), [&](const auto& member) {
    const auto other = ours.find(member.first);
    return other == ours.end() || other->second != member.second;
  });
  add_conflict(ConflictKind::create_create,
               path_of(edit.object, differs != theirs.end() ? differs->first
                                    : ours.empty()          ? std::string()
                                                            : ours.begin()->first),
               {}, object_json(ours), object_json(theirs), {now->version});
  edit.kind = Edit::Kind::update;
  as_sent_ = as_sent_ && submission_.policy == Policy::manual;
  edits_.push_back(std::move(edit));
  return std::nullopt;
}

Decider::Refusal Decider::decide_update(Edit edit) {
  if (!edit.object.empty() && state_.find(edit.object) == nullptr) {
    const auto tombstone = state_.tombstones.find(edit.object);
    if (tombstone == state_.tombstones.end() ||
        (!forced() && !is_news(tombstone->second.version, tombstone->second.session))) {
      return fail(Code::not_found, "there is no object " + edit.object);
    }
    return edit_of_deleted(std::move(edit), tombstone->second);
  }
  for (Write& write : edit.writes) {
    meet(edit.object, write);
  }
  edits_.push_back(std::move(edit));
  return std::nullopt;
}

// The author did not know. Delete wins; who is forced brings the object back.
Decider::Refusal Decider::edit_of_deleted(Edit edit, const Tombstone& tombstone) {
  if (forced()) {
    PlainObject object = with_writes(tombstone.registers, edit);
    edits_.push_back({Edit::Kind::create, edit.object, writes_of(object)});
    as_sent_ = false;
    return std::nullopt;
  }
  const PlainObject base = seen_object(edit.object);
  add_conflict(ConflictKind::edit_delete, path_of(edit.object, first_key(edit)), object_json(base),
               object_json(tombstone.registers), object_json(with_writes(base, edit)), {tombstone.version});
  if (submission_.policy == Policy::manual) {
    edits_.push_back(std::move(edit));  // kept as it is, for whoever decides
  } else {
    as_sent_ = false;
  }
  return std::nullopt;
}

Decider::Refusal Decider::decide_remove(Edit edit) {
  const Object* const now = state_.find(edit.object);
  if (now == nullptr) {
    const auto tombstone = state_.tombstones.find(edit.object);
    if (tombstone == state_.tombstones.end() || !is_news(tombstone->second.version, tombstone->second.session)) {
      return fail(Code::not_found, "there is no object " + edit.object);
    }
    edits_.push_back(std::move(edit));  // both wanted the same
    return std::nullopt;
  }
  std::string changed;
  std::vector<uint64_t> versions;
  const PlainObject base = seen_object(edit.object);
  const PlainObject ours = state_.object(edit.object, state_.version, {});
  for (const auto& [key, field] : now->registers) {
    const auto before = base.find(key);
    const std::string seen = before == base.end() ? std::string() : before->second;
    if (is_news(field.version, field.session) && !field.cell.is(seen)) {
      changed = versions.empty() ? key : changed;
      versions.push_back(field.version);
    }
  }
  if (!versions.empty()) {
    std::sort(versions.begin(), versions.end());
    versions.erase(std::unique(versions.begin(), versions.end()), versions.end());
    add_conflict(ConflictKind::delete_edit, path_of(edit.object, changed), object_json(base), object_json(ours),
                 object_json(base), std::move(versions));
  }
  edits_.push_back(std::move(edit));
  return std::nullopt;
}

void Decider::say_edits() {
  if (as_sent_) {
    return;
  }
  out_.type = "update";
  if (edits_.empty()) {
    // Nothing takes effect. The root object is always there.
    out_.data = data_of(Edit{});
    return;
  }
  if (edits_.size() > 1) {
    Plain content = state_.plain();
    for (const Edit& edit : edits_) {
      apply_edit(content, edit);
    }
    out_.data = "{\"content\":" + content_of(content) + "}";
    return;
  }
  const Edit& edit = edits_.front();
  if (edit.kind != Edit::Kind::update) {
    out_.type = edit.kind == Edit::Kind::create ? "create" : "delete";
  }
  out_.data = data_of(edit);
}

}  // namespace tidemark::document::engine
