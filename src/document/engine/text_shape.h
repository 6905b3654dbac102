// TextShape: how a text that an author saw became the text that there is now, without the characters themselves.
//
// A list of spans over both texts, from left to right:
//
//   in both texts     inserted 0, removed 0
//   the author's only inserted 0, removed r: another's operation r removed it
//   the new one's     inserted i, removed 0: another's operation i inserted it
//   in neither        inserted i, removed r: both happened since; it counts for an author who saw i but not r
//
// What stands behind the last span is in both. Labels are versions of the document, so that one can say later what an
// author sees who has heard of some of the operations meanwhile (seen_until).
//
// The rule of ties (docs/protocol.md): an insertion stands directly behind the character that its author saw on its
// left, so before text that arrived earlier. A new insertion into a gap in which characters were removed stands behind
// what remains of them. With both, rebasing over operations one by one, as clients do, and over their composition, as
// it is done here, are the same (text_shape_test.cc).
//
// A value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "document/engine/text_operation.h"

namespace tidemark::document::engine {

class TextShape {
 public:
  struct Span {
    uint32_t count = 0;   // code points
    uint32_t offset = 0;  // of what was removed: in the text that `removed` removed
    uint64_t inserted = 0;
    uint64_t removed = 0;
    bool seen() const { return inserted == 0; }  // in the author's text
    bool there() const { return removed == 0; }  // in the new text
    bool changed() const { return (inserted | removed) != 0; }
    friend bool operator==(const Span&, const Span&) = default;
  };

  TextShape() = default;
  // Of the one operation that made `version`.
  TextShape(const TextOperation& operation, uint64_t version) { assign(operation, version); }
  void assign(const TextOperation& operation, uint64_t version);

  const std::vector<Span>& spans() const { return spans_; }
  // The author's text and the new one are the same, and nothing happened in between.
  bool empty() const { return spans_.empty(); }

  // Of the author's text, in what is not behind the last span; and how much longer the new text is.
  size_t seen_length() const;
  ptrdiff_t growth() const;

  // This, and then `next`, which starts from the new text.
  TextShape then(const TextShape& next) const {
    TextShape result;
    compose(*this, next, result);
    return result;
  }
  // The same into `result`, which is neither of them and keeps its memory.
  static void compose(const TextShape& first, const TextShape& next, TextShape& result);

  // The author has heard of everything up to `version`: it is part of the text that they see.
  void seen_until(uint64_t version);

  // What the author's operation is on the new text.
  TextOperation rebase(const TextOperation& operation) const;
  // The shape between the texts after the operation: the author's own, and the new one with the rebased operation.
  TextShape after(const TextOperation& operation) const;

  void push(const Span& span);  // on the right

 private:
  void push_all(std::span<const Span> spans);
  void push_in_gap(const Span& span);

  std::vector<Span> spans_;
};

}  // namespace tidemark::document::engine
