#include <algorithm>
#include <utility>

#include "document/engine/content_diff.h"
#include "document/engine/decider.h"
#include "document/engine/text_diff.h"

namespace tidemark::document::engine {
namespace {

struct KindRow {
  ConflictKind kind;
  std::string_view name;
  std::string_view description;
};
constexpr KindRow kKinds[] = {
    {ConflictKind::write_write, "write_write", "another session wrote this register meanwhile"},
    {ConflictKind::edit_delete, "edit_delete", "the edited object was deleted meanwhile"},
    {ConflictKind::delete_edit, "delete_edit", "the deleted object was edited meanwhile"},
    {ConflictKind::create_create, "create_create", "there is an object with this id and another content"},
    {ConflictKind::cycle, "cycle", "the object would be its own ancestor"},
    {ConflictKind::text_overlap, "text_overlap", "the edited stretch of text was removed or replaced meanwhile"},
};
const KindRow& row_of(ConflictKind kind) { return kKinds[static_cast<size_t>(kind)]; }

Error too_large(std::string_view what, size_t max) {
  return Error{Code::too_large, std::string(what) + " is above " + std::to_string(max) + " bytes", std::string(what),
               0};
}

}  // namespace

std::string_view name_of(ConflictKind kind) { return row_of(kind).name; }

std::optional<Policy> policy_named(std::string_view name) {
  if (name == "lww") {
    return Policy::lww;
  }
  if (name == "merge") {
    return Policy::merge;
  }
  return name == "manual" ? std::optional(Policy::manual) : std::nullopt;
}

std::string path_of(std::string_view object, std::string_view key) {
  std::string path(object);
  path += '.';
  path += key;
  return path;
}

void Decider::run() {
  auto refusal = check_versions();
  if (!refusal) {
    auto patch = read();
    refusal = patch ? decide(*patch) : Refusal(patch.error());
  }
  if (!refusal) {
    finish();
    return;
  }
  const uint64_t base = out_.base;
  out_ = Decision();
  out_.error = std::move(*refusal);
  out_.base = base;
}

Decider::Refusal Decider::check_versions() {
  const uint64_t seen = submission_.prev_version;
  out_.base = seen == 0 ? state_.version : seen;
  if (seen > state_.version) {
    return invalid_field("prev_version", "the document is at version " + std::to_string(state_.version));
  }
  if (out_.base < state_.floor()) {
    if (!forced() || state_.kind == Kind::text || submission_.type == "text") {
      return fail(Code::stale_version, "this needs a history from version " + std::to_string(seen) +
                                           ", there is one from " + std::to_string(state_.floor()) +
                                           "; the document is at version " + std::to_string(state_.version));
    }
    out_.base = state_.floor();  // a person decided; what a register was then does not matter any more
  }
  const auto is_previous = [this](const Entry& entry) {
    return entry.id == submission_.after && entry.session == submission_.session;
  };
  if (!submission_.after.empty() && std::none_of(state_.history.rbegin(), state_.history.rend(), is_previous)) {
    return fail(Code::stale_version, "the operation " + std::string(submission_.after) + " has not taken effect");
  }
  return std::nullopt;
}

Result<Patch> Decider::read() const {
  const Limits& limits = state_.limits;
  if (!submission_.whole_content) {
    if (submission_.data.size() > limits.data_bytes_max) {
      return too_large("data", limits.data_bytes_max);
    }
    return read_patch(state_.kind, submission_.type, submission_.data, submission_.id, limits);
  }
  const std::string_view content = *submission_.whole_content;
  if (content.size() > limits.content_bytes_max) {
    return too_large("content", limits.content_bytes_max);
  }
  Patch patch;
  if (state_.kind == Kind::text) {
    if (!simdjson::validate_utf8(content.data(), content.size())) {
      return invalid_field("content", "is not UTF-8");
    }
    patch.whole_text = std::string(content);
    return patch;
  }
  auto plain = content.empty() ? Result<Plain>(Plain()) : read_content(content, limits);
  if (!plain) {
    return plain.error();
  }
  patch.whole = std::move(*plain);
  return patch;
}

Decider::Refusal Decider::decide(Patch& patch) {
  trail_.seen = out_.base;
  as_sent_ = patch.names_object && !submission_.whole_content && !patch.whole && !patch.whole_text;
  if (patch.whole_text) {
    const std::string seen = state_.body.seen(state_.body.since(out_.base, submission_.session));
    return decide_text({{}, {}, text_diff(seen, *patch.whole_text)});
  }
  if (patch.text) {
    if (!patch.text->operation.has_insertions_first()) {
      as_sent_ = false;
      patch.text->operation = patch.text->operation.insertions_first();
    }
    return state_.kind == Kind::text ? decide_text(std::move(*patch.text)) : decide_object_text(*patch.text);
  }
  if (patch.whole) {
    const bool is_current = out_.base == state_.version;
    return decide_edits(
        content_diff(is_current ? state_.plain() : state_.plain(out_.base, submission_.session), *patch.whole));
  }
  return decide_edits(std::move(patch.edits));
}

void Decider::add_conflict(ConflictKind kind, std::string path, std::string base, std::string ours, std::string theirs,
                           std::vector<uint64_t> versions) {
  if (forced() && kind != ConflictKind::cycle) {
    return;
  }
  if (versions.size() > kConflictVersionsMax) {
    versions.erase(versions.begin(), versions.end() - static_cast<ptrdiff_t>(kConflictVersionsMax));
  }
  std::string description = path + ": " + std::string(row_of(kind).description);
  out_.conflicts.push_back({kind, std::move(path), std::move(base), std::move(ours), std::move(theirs),
                            std::move(versions), std::move(description)});
}

void Decider::finish() {
  if (as_sent_) {
    out_.type = submission_.type;
    out_.data = submission_.data;
  }
  out_.trail = trail_.json();
  const bool parked = submission_.policy == Policy::manual && !out_.conflicts.empty();
  out_.outcome = parked ? Outcome::conflict : out_.conflicts.empty() ? Outcome::applied : Outcome::resolved;
  if (parked) {
    out_.conflicts.resize(1);
    out_.trail.clear();  // it will be submitted again, as made on this version
  }
}

}  // namespace tidemark::document::engine
