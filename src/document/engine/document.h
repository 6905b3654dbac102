// Document: the live state of one shared document, and the rules by which operations change it.
//
// A value: no clock, no storage, no threads. Owner: whoever holds it (the document's room on its worker); const
// functions may not be called from two threads at once either, they keep caches. Life: create() or from_snapshot(),
// then for each submission decide() and, once that is stored, apply(). Promises:
//   1. decide() changes nothing and depends on nothing but the document and the submission.
//   2. Documents with the same history are equal, byte by byte: created or reloaded from a snapshot of any age, at any
//      version, with the same limits. They decide everything alike.
//   3. A rejected submission changes nothing; no input can break the document.
// Does not promise: to know a repeated id, permissions, locks. Those are the room's.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/result.h"
#include "document/engine/decision.h"

namespace tidemark::document::engine {

class Document {
 public:
  // Version 1. `content`: the text; or a JSON object {object id: {key: value}} whose other values are registers of the
  // root object; empty is {}. Refused: invalid_json, invalid_field (of `content`), too_large.
  static Result<Document> create(Kind kind, std::string_view content, const Limits& limits = {});
  // What snapshot() gave. internal: it is not one.
  static Result<Document> from_snapshot(std::string_view snapshot, const Limits& limits = {});

  Document(Document&&) noexcept;
  Document& operator=(Document&&) noexcept;
  ~Document();

  Kind kind() const;
  uint64_t version() const;
  // The oldest version that an author may have seen. Below it: stale_version. A caller who still has an older snapshot
  // can load that with a longer history, apply what followed, and ask that document: it decides the same.
  uint64_t floor() const;

  // What becomes of the submission. Errors of a rejected one:
  //   stale_version   prev_version is below the floor; or `after` has not taken effect
  //   not_found       an object that does not exist, or that its author knew to be deleted
  //   conflict        refused by the policy: an object that exists already, a loop of parents
  //   invalid_json, invalid_field, missing_field, too_large: `field` names it; prev_version above the head is
  //   invalid_field
  Decision decide(const Submission& submission) const;

  // Makes the next version. invalid_field: another version than the next; internal: data that decide() never made. The
  // document is unchanged then.
  Status apply(const Applied& operation);

  // Canonical: the same state gives the same bytes. Objects and keys in the order of their bytes, numbers as they were
  // written, no white space; an object's dotted registers are nested again. Or the text.
  std::string content() const;
  size_t content_bytes() const;  // what Limits::content_bytes_max is compared with

  // Everything: content, who wrote what and when, what was deleted, the history down to the floor.
  std::string snapshot() const;

  // What the author saw who saw `version` and the own operations since (session empty: none), in the form of content().
  // stale_version below the floor; invalid_field above the head.
  Result<std::string> content_at(uint64_t version, std::string_view session = {}) const;

  // An operation that undoes the one of this version: submit it with prev_version = `version` and no session, so that
  // what came later stays. stale_version at or below the floor; invalid_field above the head.
  struct Undo {
    std::string type;
    std::string data;  // empty: `whole_content` holds the way back
    std::string whole_content;
  };
  Result<Undo> undo_of(uint64_t version) const;

  struct State;  // private to the engine's files

 private:
  explicit Document(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tidemark::document::engine
