// TextOperation: a change of a text, as the list [retain n | "inserted" | {"d": n}] of the wire. A value.
//
// Neighbours of one kind are one part, nothing is empty, and no retain is written at the end.
#pragma once

#include <simdjson.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace tidemark::document::engine {

class TextOperation {
 public:
  enum class Kind : uint8_t { retain, insert, remove };
  struct Part {
    Kind kind;
    size_t count;  // code points
    size_t bytes;  // of an insertion
    friend bool operator==(const Part&, const Part&) = default;
  };

  // The value of `ops`. Counts are whole numbers, not negative; a part of nothing is left out. invalid_field otherwise.
  static Result<TextOperation> parse(simdjson::dom::element ops);
  // The same in place of an empty one.
  Status read(simdjson::dom::element ops);

  // Building from left to right.
  void retain(size_t count);
  void insert(std::string_view text, size_t count);
  void insert(std::string_view text);
  void remove(size_t count);

  // In order; the text of the insertions, one behind the other, is inserted().
  const std::vector<Part>& parts() const { return parts_; }
  const std::string& inserted() const { return inserted_; }
  bool empty() const { return parts_.empty(); }

  // How many code points a text must have at least, for a retain at the end too.
  size_t base_length() const;
  // Of the text afterwards, against the one before, in code points.
  ptrdiff_t growth() const;

  // The operation that takes this one back. `removed` is the text that this one removed, in order.
  TextOperation inverse(std::string_view removed) const;
  // `text` must be long enough.
  std::string applied_to(std::string_view text) const;
  // What it removes from `text`, in order.
  std::string removed_from(std::string_view text) const;

  // The same change, with the insertion before the removal where text is replaced. Operations of authors are taken like
  // this: then the character on the left of an insertion is the one that its author saw there, also when the author
  // replaced a selection. Operations that were rebased stay in the order that rebasing gave.
  TextOperation insertions_first() const;
  bool has_insertions_first() const;

  // [3,"inserted",{"d":2}]
  std::string json() const;

  // The same list; a retain at the end says nothing.
  friend bool operator==(const TextOperation& a, const TextOperation& b) {
    return a.parts_ == b.parts_ && a.inserted_ == b.inserted_;
  }

 private:
  void add(Kind kind, size_t count);

  std::vector<Part> parts_;
  std::string inserted_;
  size_t retained_ = 0;  // not yet a part: whether it is one depends on what follows
};

}  // namespace tidemark::document::engine
