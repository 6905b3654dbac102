// The state of a document, for the engine's own files. Document (document.h) is its door.
//
// Invariants:
//   1. `history` has one entry for each version in (floor, version], in order, at most limits.history_max.
//   2. Of an object's registers with a value none is above another in dotted paths.
//   3. A register without a value, and a tombstone, are kept as long as the entry that removed them.
//   4. `bytes` is the sum of cost() over all objects and registers.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/shared_text.h"
#include "document/engine/document.h"
#include "document/engine/patch.h"
#include "document/engine/text.h"

namespace tidemark::document::engine {

// The value of a register: canonical JSON, or a text that is edited. Empty: no value. A text that is no longer
// anybody's value (history has it) does not change any more.
struct Cell {
  std::string json;
  std::shared_ptr<Text> text;

  bool empty() const { return json.empty() && text == nullptr; }
  std::string value() const;  // canonical JSON
  // A string in either form.
  bool is_string() const { return text != nullptr || json.starts_with('"'); }
  bool is(std::string_view other) const { return text != nullptr ? value() == other : json == other; }
};

std::string json_string(std::string_view text);
// The text of a canonical JSON string.
std::string text_of_json(std::string_view json);

struct Register {
  Cell cell;
  uint64_t version = 0;  // of the operation that wrote it last, which names the operation too
  SharedText session;
};

using Fields = std::map<std::string, Register, std::less<>>;

struct Object {
  uint64_t version = 0;  // of its creation
  SharedText session;
  Fields registers;
};

struct Tombstone {
  uint64_t version = 0;
  SharedText session;
  PlainObject registers;  // as they were
};

struct Change {
  enum class What : uint8_t {
    value,    // a register went from `before` to `after`
    text,     // the text in a register took a step
    created,  // the object
    removed,  // the object, after its registers
  };
  What what = What::value;
  std::string object;
  std::string key;
  Cell before;
  std::string after;
};

// What one operation did.
struct Entry {
  uint64_t version = 0;
  std::string id;
  SharedText session;
  std::vector<Change> changes;  // of objects; a text document has the step in its text
};

struct Document::State {
  Kind kind = Kind::objects;
  Limits limits;
  uint64_t version = 1;
  std::deque<Entry> history;
  Text body{""};                                       // of a text document
  std::map<std::string, Object, std::less<>> objects;  // without the root object, if that has never been written
  std::map<std::string, Tombstone, std::less<>> tombstones;
  size_t bytes = 0;
  // What the newest decision on a text document has read: mostly it is applied next.
  struct Understood {
    bool fresh = false;
    std::string data;  // keeps its memory
    TextEdit edit;
    void note(std::string_view read, TextEdit&& meant) {
      fresh = true;
      data = read;
      edit = std::move(meant);
    }
  };
  mutable Understood understood;

  uint64_t floor() const { return version - history.size(); }
  // Entries after this version.
  std::deque<Entry>::const_iterator after(uint64_t seen) const;

  const Object* find(std::string_view object) const;
  const Register* find(std::string_view object, std::string_view key) const;  // also one without a value

  Plain plain() const;  // the present

  // --- view.cc: what an author saw: `seen`, and the own operations since
  Plain plain(uint64_t seen, std::string_view session) const;
  PlainObject object(const std::string& object, uint64_t seen, std::string_view session) const;
  // The register as a text with the steps that history knows of (its own, if it has become one; else made for the
  // caller); nullptr: it holds something else.
  std::shared_ptr<Text> text_of(std::string_view object, std::string_view key) const;

  // --- state.cc: changing
  // Writes `entry.version` of what the patch says; it must fit (decide.cc has seen to it).
  void write(const Edit& edit, Entry& entry);
  // `authored`: the operation as an author made it who had seen `seen`; it becomes `edit` on the present text.
  // nullptr: as `edit`.
  void write_text(TextEdit&& edit, const TextOperation* authored, uint64_t seen, Entry& entry);
  void finish(Entry&& entry);  // counts it, and forgets what is too old

 private:
  void create(const std::string& id, Entry& entry);
  void remove(const std::string& id, Entry& entry);
  void set(const std::string& id, Object& object, const std::string& key, std::string value, Entry& entry);
  // Removes what is below a register that is written, and what is above it if it gets a value.
  void clear_around(const std::string& id, Object& object, const std::string& key, bool above_too, Entry& entry);
  void forget(const Entry& entry);
};

// What an object or a register adds to content_bytes: quotes, colon, comma and braces included.
size_t cost(std::string_view object);
size_t cost(std::string_view key, const Cell& cell);

// Whether the author who saw `seen` does not know it: it is another's, and later.
inline bool is_concurrent(uint64_t version, const SharedText& by, uint64_t seen, std::string_view session) {
  return version > seen && (session.empty() || by != session);
}

}  // namespace tidemark::document::engine
