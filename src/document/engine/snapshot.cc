// Document::snapshot() and back. A format of its own, read by the same or a later version of the engine; its first
// number says which.
#include <unordered_map>
#include <utility>

#include "core/json.h"
#include "document/engine/byte_code.h"
#include "document/engine/state.h"

namespace tidemark::document::engine {
namespace {

constexpr uint64_t kFormat = 1;

class Writer {
 public:
  explicit Writer(const Document::State& state) : state_(state) {}

  std::string run() {
    out_.number(kFormat);
    out_.number(static_cast<uint64_t>(state_.kind));
    out_.number(state_.version);
    put(state_.body);
    out_.number(state_.objects.size());
    for (const auto& [id, object] : state_.objects) {
      out_.text(id);
      put_author(object.version, object.session);
      out_.number(object.registers.size());
      for (const auto& [key, field] : object.registers) {
        out_.text(key);
        put(field.cell);
        put_author(field.version, field.session);
      }
    }
    out_.number(state_.tombstones.size());
    for (const auto& [id, tombstone] : state_.tombstones) {
      out_.text(id);
      put_author(tombstone.version, tombstone.session);
      out_.number(tombstone.registers.size());
      for (const auto& [key, value] : tombstone.registers) {
        out_.text(key);
        out_.text(value);
      }
    }
    put_history();
    return out_.take();
  }

 private:
  void put_history() {
    out_.number(state_.history.size());
    for (const Entry& entry : state_.history) {
      out_.number(entry.version);
      out_.text(entry.id);
      out_.text(entry.session);
      out_.number(entry.changes.size());
      for (const Change& change : entry.changes) {
        out_.number(static_cast<uint64_t>(change.what));
        out_.text(change.object);
        out_.text(change.key);
        put(change.before);
        out_.text(change.after);
      }
    }
  }

  void put_author(uint64_t version, const SharedText& session) {
    out_.number(version);
    out_.text(session);
  }

  void put(const Cell& cell) {
    out_.text(cell.json);
    out_.number(cell.text == nullptr ? 0 : 1);
    if (cell.text != nullptr) {
      put(*cell.text);
    }
  }

  void put(const Text& text) {
    out_.text(text.str());
    put_author(text.origin().version, text.origin().session);
    out_.number(text.steps().size());
    for (const Text::Step& step : text.steps()) {
      put_author(step.version, step.session);
      out_.text(step.operation.json());
      out_.text(step.removed);
    }
    out_.number(text.views().size());
    for (const auto& [session, shape] : text.views()) {
      out_.text(session);
      out_.number(shape.spans().size());
      for (const TextShape::Span& span : shape.spans()) {
        out_.number(span.count);
        out_.number(span.offset);
        out_.number(span.inserted);
        out_.number(span.removed);
      }
    }
  }

  const Document::State& state_;
  ByteWriter out_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : in_(bytes) {}

  bool run(Document::State& state) {
    if (in_.number() != kFormat) {
      return false;
    }
    state.kind = in_.number() == 0 ? Kind::objects : Kind::text;
    state.version = in_.number();
    state.body = std::move(*get_text());
    for (uint64_t left = in_.number(); left > 0 && in_.ok(); --left) {
      const std::string id(in_.text());
      Object& object = state.objects[id];
      get_author(object.version, object.session);
      state.bytes += cost(id);
      for (uint64_t fields = in_.number(); fields > 0 && in_.ok(); --fields) {
        const std::string key(in_.text());
        Register& field = object.registers[key];
        field.cell = get_cell();
        get_author(field.version, field.session);
        state.bytes += cost(key, field.cell);
      }
    }
    for (uint64_t left = in_.number(); left > 0 && in_.ok(); --left) {
      Tombstone& tombstone = state.tombstones[std::string(in_.text())];
      get_author(tombstone.version, tombstone.session);
      for (uint64_t fields = in_.number(); fields > 0 && in_.ok(); --fields) {
        const std::string key(in_.text());
        tombstone.registers[key] = in_.text();
      }
    }
    get_history(state);
    return in_.done() && sound_;
  }

 private:
  void get_history(Document::State& state) {
    for (uint64_t left = in_.number(); left > 0 && in_.ok(); --left) {
      Entry& entry = state.history.emplace_back();
      entry.version = in_.number();
      entry.id = in_.text();
      entry.session = session(in_.text());
      for (uint64_t changes = in_.number(); changes > 0 && in_.ok(); --changes) {
        Change& change = entry.changes.emplace_back();
        change.what = static_cast<Change::What>(in_.number());
        change.object = in_.text();
        change.key = in_.text();
        change.before = get_cell();
        change.after = in_.text();
      }
    }
    sound_ = sound_ && state.history.size() < state.version &&
             (state.history.empty() || state.history.back().version == state.version);
  }

  // One copy of each name.
  SharedText session(std::string_view name) {
    if (name.empty()) {
      return {};
    }
    return sessions_.try_emplace(std::string(name), std::string(name)).first->second;
  }

  void get_author(uint64_t& version, SharedText& by) {
    version = in_.number();
    by = session(in_.text());
  }

  Cell get_cell() {
    Cell cell;
    cell.json = in_.text();
    if (in_.number() != 0) {
      cell.text = get_text();
    }
    return cell;
  }

  std::shared_ptr<Text> get_text() {
    const std::string_view value = in_.text();
    Text::Origin origin;
    get_author(origin.version, origin.session);
    auto text = std::make_shared<Text>(value, std::move(origin));
    std::deque<Text::Step> steps;
    for (uint64_t left = in_.number(); left > 0 && in_.ok(); --left) {
      Text::Step& step = steps.emplace_back();
      get_author(step.version, step.session);
      const auto ops = parse_json(parser_, in_.text(), 3);
      auto operation = ops ? TextOperation::parse(*ops) : Result<TextOperation>(ops.error());
      sound_ = sound_ && operation.ok();
      if (operation) {
        step.operation = std::move(*operation);
      }
      step.removed = in_.text();
    }
    std::map<std::string, TextShape, std::less<>> views;
    for (uint64_t left = in_.number(); left > 0 && in_.ok(); --left) {
      TextShape& shape = views[std::string(in_.text())];
      for (uint64_t spans = in_.number(); spans > 0 && in_.ok(); --spans) {
        TextShape::Span span;
        span.count = static_cast<uint32_t>(in_.number());
        span.offset = static_cast<uint32_t>(in_.number());
        span.inserted = in_.number();
        span.removed = in_.number();
        shape.push(span);
      }
    }
    text->restore(std::move(steps), std::move(views));
    return text;
  }

  ByteReader in_;
  simdjson::dom::parser parser_;
  std::unordered_map<std::string, SharedText> sessions_;
  bool sound_ = true;
};

}  // namespace

std::string Document::snapshot() const { return Writer(*state_).run(); }

Result<Document> Document::from_snapshot(std::string_view snapshot, const Limits& limits) {
  auto state = std::make_unique<State>();
  state->limits = limits;
  if (!Reader(snapshot).run(*state)) {
    return fail(Code::internal, "that is no snapshot of a document");
  }
  return Document(std::move(state));
}

}  // namespace tidemark::document::engine
