// What an operation asks for, read from its JSON: a Patch. And contents in plain form. Values only.
//
// JSON objects inside properties are flattened: {"style": {"color": "red"}} writes the register "style.color". Every
// value is kept as canonical JSON text: no white space, strings escaped in one way, numbers as they were written, the
// members of objects inside arrays in the order of their names. A name twice in one object, or two names that write one
// register or one above the other ("style" and "style.color"), is refused: readers of JSON disagree about what it
// means.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "document/engine/decision.h"
#include "document/engine/text_operation.h"

namespace tidemark::document::engine {

// Registers of an object: dotted path to canonical JSON.
using PlainObject = std::map<std::string, std::string, std::less<>>;
// Objects by id; the root object, whose id is "", is not always there.
using Plain = std::map<std::string, PlainObject, std::less<>>;

struct Write {
  std::string key;
  std::string value;  // canonical JSON; empty: removes the register and all below it
};

struct Edit {
  enum class Kind : uint8_t { create, update, remove };
  Kind kind = Kind::update;
  std::string object;
  std::vector<Write> writes;  // ordered by key; no key twice, none above another
};

struct TextEdit {
  std::string object;
  std::string key;
  TextOperation operation;
};

// One of the four.
struct Patch {
  std::vector<Edit> edits;
  std::optional<TextEdit> text;
  std::optional<Plain> whole;             // of a document of objects
  std::optional<std::string> whole_text;  // of a text document
  bool names_object = true;               // the data say which object; false: a create without id
};

// Errors: invalid_json, missing_field, invalid_field, too_large.
Result<Patch> read_patch(Kind kind, std::string_view type, std::string_view data, std::string_view operation_id,
                         const Limits& limits);
// A content of objects, as docs/protocol.md describes it. What is null is not there.
Result<Plain> read_content(std::string_view content, const Limits& limits);

// The canonical content of these objects.
std::string content_of(const Plain& objects);
// One object, nested again: {"x":1,"style":{"color":"red"}}.
std::string object_json(const PlainObject& object);
// Data of an operation: {"id":"r","x":1}. A write without value becomes null.
std::string data_of(const Edit& edit);
std::string data_of(const TextEdit& edit, Kind kind);

// Whether `key` is below `above` in dotted paths.
bool is_below(std::string_view key, std::string_view above);

}  // namespace tidemark::document::engine
