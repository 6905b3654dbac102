// What goes into the engine and what comes out of it: submissions, decisions, conflicts, operations that took effect.
// Values only. All text is UTF-8, `data` is JSON as docs/protocol.md says for each operation type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace tidemark::document::engine {

// What a document is made of: objects with registers (whiteboard, canvas, sheet), or one text.
enum class Kind : uint8_t { objects, text };

enum class Policy : uint8_t {
  lww,     // later arrival wins
  merge,   // as lww, but text values merge by characters
  manual,  // nothing is applied while there is a conflict
  // A person has decided for this operation (ResolveConflict): it takes effect whatever is in its way; a deleted object
  // comes back. Only a loop of parents is still refused. Conflicts are not reported.
  forced,
};
std::optional<Policy> policy_named(std::string_view name);  // lww, merge, manual

enum class ConflictKind : uint8_t { write_write, edit_delete, delete_edit, create_create, cycle, text_overlap };
std::string_view name_of(ConflictKind kind);

// Each has a test one past it.
struct Limits {
  size_t depth_max = 32;                   // of data, and of content: the document, its objects, their values
  size_t data_bytes_max = 256 * 1024;      // of an operation; a whole content has the limit of contents
  size_t content_bytes_max = 4096 * 1024;  // of objects: counted with every dotted path spelled out
  size_t key_bytes_max = 256;              // of a register's dotted path
  // Operations that are remembered to rebase others against. An author who is further behind gets stale_version.
  size_t history_max = 10'000;
};

// An operation as its author sent it.
struct Submission {
  std::string_view id;       // also the id of an object that is created without one
  std::string_view session;  // empty: nobody's; the author has no earlier operations then
  std::string_view type;     // create, update, delete, move, resize, style, text
  std::string_view data;
  // Instead of `data`: the whole new content, in the form that Document::content() has. `type` is then "update".
  std::optional<std::string_view> whole_content;
  uint64_t prev_version = 0;  // the version that the author saw; 0: current
  std::string_view after;     // id of the session's previous operation in flight; empty: not said
  Policy policy = Policy::merge;
};

// A conflict that was found. What is not there is "" (base, ours: the register did not exist; theirs: it was removed).
struct ConflictDraft {
  ConflictKind kind = ConflictKind::write_write;
  std::string path;    // <object id>.<register>; of a text document: "text"
  std::string base;    // JSON: the value that the author saw
  std::string ours;    // JSON: the value that the document had
  std::string theirs;  // JSON: the value that the operation brings
  // Applied operations of others that it met, ascending; at most kConflictVersionsMax, the newest.
  std::vector<uint64_t> versions;
  std::string description;  // for people
};
inline constexpr size_t kConflictVersionsMax = 32;

enum class Outcome : uint8_t {
  applied,   // takes the next version
  resolved,  // takes the next version; conflicts were settled by the policy
  conflict,  // policy manual: not applied; `conflicts` has one row
  rejected,  // nothing is stored
};

struct Decision {
  Outcome outcome = Outcome::rejected;
  Error error;  // of a rejected one

  // What is stored, published, and applied by every replica that is at the version before. Bytes as sent where nothing
  // had to be changed. The type can be another one than that of the submission (whole contents).
  // Of a conflict: the operation as it would take effect on this version. Keep it with this version; to take it later,
  // submit it with prev_version = this version, no session, and Policy::forced.
  std::string type;
  std::string data;
  // Opaque, mostly empty: how the author saw the operation. Stored and given to apply() with it, or operations that the
  // same session has in flight are misplaced.
  std::string trail;
  uint64_t base = 0;  // prev_version; the current version if that was 0

  // In the order of their paths in the operation. The events of a settlement are, in this order: conflict_detected for
  // each, operation_applied, conflict_resolved for each.
  std::vector<ConflictDraft> conflicts;
};

// An operation that took effect: what apply() gets, live, on replicas and on reload.
struct Applied {
  uint64_t version = 0;  // that it makes: one more than the document's
  std::string id;
  std::string session;
  std::string type;
  std::string data;
  std::string trail;
};

}  // namespace tidemark::document::engine
