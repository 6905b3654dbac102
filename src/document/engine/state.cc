#include "document/engine/state.h"

#include <algorithm>
#include <utility>

#include "core/json.h"
#include "document/engine/text_diff.h"

namespace tidemark::document::engine {
namespace {

// The range of registers that have `key` above them.
auto below(Fields& registers, const std::string& key) {
  const auto begin = registers.lower_bound(key + '.');
  auto end = begin;
  while (end != registers.end() && is_below(end->first, key)) {
    ++end;
  }
  return std::pair(begin, end);
}

}  // namespace

std::string json_string(std::string_view text) {
  std::string json;
  json.reserve(text.size() + 2);
  append_json_string(json, text);
  return json;
}

std::string text_of_json(std::string_view json) {
  static thread_local simdjson::dom::parser parser;
  const auto parsed = parse_json(parser, json, 1);
  std::string_view text;
  TIDEMARK_CHECK(parsed.ok() && parsed->get_string().get(text) == simdjson::SUCCESS);
  return std::string(text);
}

std::string Cell::value() const { return text != nullptr ? json_string(text->str()) : json; }

size_t cost(std::string_view object) { return object.size() + 6; }
size_t cost(std::string_view key, const Cell& cell) {
  return cell.empty() ? 0 : key.size() + 4 + (cell.text != nullptr ? cell.text->bytes() + 2 : cell.json.size());
}

std::deque<Entry>::const_iterator Document::State::after(uint64_t seen) const {
  const uint64_t skipped = std::min<uint64_t>(seen < floor() ? 0 : seen - floor(), history.size());
  return history.begin() + static_cast<ptrdiff_t>(skipped);
}

const Object* Document::State::find(std::string_view object) const {
  const auto at = objects.find(object);
  return at == objects.end() ? nullptr : &at->second;
}

const Register* Document::State::find(std::string_view object, std::string_view key) const {
  const Object* const found = find(object);
  if (found == nullptr) {
    return nullptr;
  }
  const auto at = found->registers.find(key);
  return at == found->registers.end() ? nullptr : &at->second;
}

Plain Document::State::plain() const {
  Plain result;
  for (const auto& [id, object] : objects) {
    PlainObject& registers = result[id];
    for (const auto& [key, field] : object.registers) {
      if (!field.cell.empty()) {
        registers.emplace_hint(registers.end(), key, field.cell.value());
      }
    }
  }
  return result;
}

void Document::State::create(const std::string& id, Entry& entry) {
  objects[id] = Object{entry.version, entry.session, {}};
  tombstones.erase(id);
  bytes += cost(id);
  entry.changes.push_back({Change::What::created, id, {}, {}, {}});
}

void Document::State::remove(const std::string& id, Entry& entry) {
  const auto at = objects.find(id);
  Tombstone tombstone{entry.version, entry.session, {}};
  for (auto& [key, field] : at->second.registers) {
    if (!field.cell.empty()) {
      bytes -= cost(key, field.cell);
      tombstone.registers.emplace(key, field.cell.value());
      entry.changes.push_back({Change::What::value, id, key, std::move(field.cell), {}});
    }
  }
  bytes -= cost(id);
  entry.changes.push_back({Change::What::removed, id, {}, {}, {}});
  objects.erase(at);
  tombstones[id] = std::move(tombstone);
}

// One register, without a look at what is above and below it.
void Document::State::set(const std::string& id, Object& object, const std::string& key, std::string value,
                          Entry& entry) {
  Register& field = object.registers[key];
  if (field.cell.empty() && value.empty()) {
    if (field.version == 0) {
      object.registers.erase(key);
    }
    return;
  }
  bytes -= cost(key, field.cell);
  if (field.cell.text != nullptr && value.starts_with('"')) {
    Text& text = *field.cell.text;
    text.apply(entry.version, entry.session, text_diff(text.str(), text_of_json(value)));
    entry.changes.push_back({Change::What::text, id, key, {}, {}});
  } else {
    Cell before = std::exchange(field.cell, Cell{value, nullptr});
    entry.changes.push_back({Change::What::value, id, key, std::move(before), std::move(value)});
  }
  bytes += cost(key, field.cell);
  field.version = entry.version;
  field.session = entry.session;
}

void Document::State::clear_around(const std::string& id, Object& object, const std::string& key, bool above_too,
                                   Entry& entry) {
  if (id.empty()) {
    return;  // keys of the root object are no paths
  }
  for (size_t dot = key.find('.'); above_too && dot != std::string::npos; dot = key.find('.', dot + 1)) {
    const auto above = object.registers.find(std::string_view(key).substr(0, dot));
    if (above != object.registers.end()) {
      set(id, object, above->first, {}, entry);
    }
  }
  for (auto [at, end] = below(object.registers, key); at != end; ++at) {
    set(id, object, at->first, {}, entry);
  }
}

void Document::State::write(const Edit& edit, Entry& entry) {
  const bool exists = objects.contains(edit.object);
  if (edit.kind == Edit::Kind::remove) {
    if (exists) {
      remove(edit.object, entry);
    }
    return;
  }
  if (!exists) {
    if (edit.kind == Edit::Kind::update && !(edit.object.empty() && !edit.writes.empty())) {
      return;  // an edit without effect
    }
    create(edit.object, entry);
  }
  Object& object = objects.find(edit.object)->second;
  for (const Write& write : edit.writes) {
    clear_around(edit.object, object, write.key, !write.value.empty(), entry);
    set(edit.object, object, write.key, write.value, entry);
  }
}

void Document::State::write_text(TextEdit&& edit, const TextOperation* authored, uint64_t seen, Entry& entry) {
  Text* changed = &body;
  Register* field = nullptr;
  if (kind == Kind::objects) {
    const Register* const now = find(edit.object, edit.key);
    if (edit.operation.empty() && (now == nullptr || now->cell.empty())) {
      return;
    }
    if (!objects.contains(edit.object)) {
      create(edit.object, entry);
    }
    Object& object = objects.find(edit.object)->second;
    clear_around(edit.object, object, edit.key, true, entry);
    auto cell = text_of(edit.object, edit.key);
    field = &object.registers[edit.key];
    if (field->cell.empty()) {
      entry.changes.push_back({Change::What::value, edit.object, edit.key, {}, "\"\""});
    }
    bytes -= cost(edit.key, field->cell);
    field->cell = Cell{{}, std::move(cell)};
    changed = field->cell.text.get();
    entry.changes.push_back({Change::What::text, edit.object, edit.key, {}, {}});
  }
  if (authored != nullptr) {
    changed->apply(entry.version, entry.session, *authored, seen);
  } else {
    changed->apply(entry.version, entry.session, std::move(edit.operation));
  }
  if (field != nullptr) {
    bytes += cost(edit.key, field->cell);
    field->version = entry.version;
    field->session = entry.session;
  }
}

void Document::State::finish(Entry&& entry) {
  version = entry.version;
  history.push_back(std::move(entry));
  while (history.size() > limits.history_max) {
    forget(history.front());
    history.pop_front();
  }
}

// What only authors of before this entry could not know.
void Document::State::forget(const Entry& entry) {
  if (kind == Kind::text) {
    body.forget(entry.version);
    return;
  }
  for (const Change& change : entry.changes) {
    if (change.what == Change::What::removed) {
      const auto at = tombstones.find(change.object);
      if (at != tombstones.end() && at->second.version == entry.version) {
        tombstones.erase(at);
      }
      continue;
    }
    const auto object = objects.find(change.object);
    const auto field = object == objects.end() ? Fields::iterator() : object->second.registers.find(change.key);
    if (object == objects.end() || field == object->second.registers.end()) {
      continue;
    }
    if (field->second.cell.empty() && field->second.version == entry.version) {
      object->second.registers.erase(field);
    } else if (field->second.cell.text != nullptr) {
      field->second.cell.text->forget(entry.version);
    }
  }
}

}  // namespace tidemark::document::engine
