#include "document/engine/document.h"

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "document/engine/content_diff.h"
#include "document/engine/decider.h"
#include "document/engine/parents.h"
#include "document/engine/state.h"
#include "document/engine/trail.h"

namespace tidemark::document::engine {
namespace {

// What decide() made may be larger than what a client may send: a whole content, or a merged text.
Limits without_limits(Limits limits) {
  limits.depth_max += 2;
  limits.key_bytes_max = SIZE_MAX;
  return limits;
}

Error not_ours(std::string why) {
  return fail(Code::internal, "the engine never made this operation: " + std::move(why));
}

Error beyond(const char* field, uint64_t version) {
  return invalid_field(field, "the document is at version " + std::to_string(version));
}

Error below_floor(uint64_t floor) {
  return fail(Code::stale_version, "there is a history from version " + std::to_string(floor));
}

// What the operation says: it has just been decided, or is read into `patch`.
Result<TextEdit*> understand(Document::State& state, const Applied& operation, std::optional<Patch>& patch) {
  const bool fresh = std::exchange(state.understood.fresh, false);
  if (fresh && operation.type == "text" && operation.data == state.understood.data) {
    return &state.understood.edit;
  }
  auto read = read_patch(state.kind, operation.type, operation.data, operation.id, without_limits(state.limits));
  if (!read) {
    return read.error();
  }
  patch.emplace(std::move(*read));
  return patch->text ? &*patch->text : nullptr;
}

// Whether the operation fits the text that it is for: the present one, or that of an author who had `seen` less.
Status check_text(const Document::State& state, const TextEdit& edit, std::optional<uint64_t> seen,
                  const std::string& session) {
  std::shared_ptr<const Text> made;
  const Text* text = &state.body;
  if (state.kind == Kind::objects) {
    made = state.text_of(edit.object, edit.key);
    text = made.get();
  }
  if (text == nullptr) {
    return not_ours("there is no text");
  }
  const ptrdiff_t grown = seen ? text->since(*seen, session).growth() : 0;
  return static_cast<ptrdiff_t>(edit.operation.base_length()) <= static_cast<ptrdiff_t>(text->length()) - grown
             ? Status()
             : not_ours("it is longer than the text");
}

Status check_texts(const Document::State& state, const TextEdit* text, const Trail& trail, const std::string& session) {
  for (const TextEdit& authored : trail.texts) {
    if (auto fits = check_text(state, authored, trail.seen, session); !fits) {
      return fits;
    }
  }
  return text != nullptr ? check_text(state, *text, std::nullopt, session) : Status();
}

// Who writes mostly writes again.
SharedText shared_session(const Document::State& state, const std::string& session) {
  const bool same = !state.history.empty() && state.history.back().session == session;
  return same ? state.history.back().session : SharedText(session);
}

void write_edit(Document::State& state, Edit& edit, const Trail& trail, Entry& entry) {
  for (const TextEdit& authored : trail.texts) {
    const auto is_it = [&](const Write& write) { return authored.object == edit.object && authored.key == write.key; };
    if (authored.object == edit.object && std::erase_if(edit.writes, is_it) > 0) {
      state.write_text(TextEdit(authored), &authored.operation, trail.seen, entry);
    }
  }
  state.write(edit, entry);
}

}  // namespace

Document::Document(std::unique_ptr<State> state) : state_(std::move(state)) {}
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(Document&&) noexcept = default;
Document::~Document() = default;

Kind Document::kind() const { return state_->kind; }
uint64_t Document::version() const { return state_->version; }
uint64_t Document::floor() const { return state_->floor(); }

Result<Document> Document::create(Kind kind, std::string_view content, const Limits& limits) {
  if (content.size() > limits.content_bytes_max) {
    return Error{Code::too_large, "content is above " + std::to_string(limits.content_bytes_max) + " bytes", "content",
                 0};
  }
  auto state = std::make_unique<State>();
  state->kind = kind;
  state->limits = limits;
  if (kind == Kind::text) {
    if (!simdjson::validate_utf8(content.data(), content.size())) {
      return invalid_field("content", "is not UTF-8");
    }
    state->body = Text(content);
    return Document(std::move(state));
  }
  const auto objects = content.empty() ? Result<Plain>(Plain()) : read_content(content, limits);
  if (!objects) {
    return objects.error();
  }
  Entry entry{1, {}, {}, {}};
  std::vector<std::string> names;
  for (const Edit& edit : content_diff({}, *objects)) {
    names.push_back(edit.object);
    state->write(edit, entry);  // nobody can be behind: it is no part of the history
  }
  const auto looping = objects_on_loops(names, [&](const std::string& object) {
    const Register* const parent = state->find(object, "parent");
    return parent == nullptr ? std::string() : parent->cell.value();
  });
  if (!looping.empty()) {
    return invalid_field("content", *looping.begin() + " would be its own ancestor");
  }
  if (state->bytes > limits.content_bytes_max) {
    return Error{Code::too_large, "content is above " + std::to_string(limits.content_bytes_max) + " bytes", "content",
                 0};
  }
  return Document(std::move(state));
}

Decision Document::decide(const Submission& submission) const {
  Decision decision;
  Decider(*state_, submission, decision).run();
  return decision;
}

Status Document::apply(const Applied& operation) {
  State& state = *state_;
  if (operation.version != state.version + 1) {
    return beyond("version", state.version);
  }
  std::optional<Patch> patch;
  const auto text = understand(state, operation, patch);
  if (!text) {
    return not_ours(text.error().text);
  }
  const auto trail = Trail::parse(operation.trail);
  if (!trail) {
    return trail.error();
  }
  if (patch && patch->whole_text) {
    return not_ours("it is a whole text");
  }
  if (auto fits = check_texts(state, *text, *trail, operation.session); !fits) {
    return fits;
  }
  Entry entry{operation.version, operation.id, shared_session(state, operation.session), {}};
  if (*text != nullptr) {
    const TextOperation* const authored = trail->texts.empty() ? nullptr : &trail->texts.front().operation;
    state.write_text(std::move(**text), authored, trail->seen, entry);
  }
  if (patch && patch->whole) {
    patch->edits = content_diff(state.plain(), *patch->whole);
  }
  for (Edit& edit : patch ? std::span<Edit>(patch->edits) : std::span<Edit>()) {
    write_edit(state, edit, *trail, entry);
  }
  state.finish(std::move(entry));
  return {};
}

std::string Document::content() const {
  return state_->kind == Kind::text ? state_->body.str() : content_of(state_->plain());
}

size_t Document::content_bytes() const { return state_->kind == Kind::text ? state_->body.bytes() : state_->bytes; }

Result<std::string> Document::content_at(uint64_t version, std::string_view session) const {
  if (version > state_->version) {
    return beyond("version", state_->version);
  }
  if (version < floor()) {
    return below_floor(floor());
  }
  if (state_->kind == Kind::text) {
    return state_->body.seen(state_->body.since(version, session));
  }
  return content_of(state_->plain(version, session));
}

Result<Document::Undo> Document::undo_of(uint64_t version) const {
  if (version > state_->version) {
    return beyond("version", state_->version);
  }
  if (version <= floor()) {
    return below_floor(floor());
  }
  if (state_->kind == Kind::objects) {
    return Undo{"update", {}, content_of(state_->plain(version - 1, {}))};
  }
  const Text::Step& step = *state_->body.step(version);
  return Undo{"text", data_of(TextEdit{{}, {}, step.operation.inverse(step.removed)}, Kind::text), {}};
}

}  // namespace tidemark::document::engine
