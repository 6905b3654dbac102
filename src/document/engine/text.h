// Text: a text that several sessions edit, and what is needed to place the operation of an author who saw an older one.
//
// It remembers its newest steps. What an author saw is a version of the document and the own steps since; the way from
// there to the present is a TextShape, put together from two things:
//   - shapes of 2^k steps each, composed once and kept (docs/decisions/0022-rebasing-over-composed-spans.md);
//   - for a session whose newest step was placed over steps of others: the shape that was left between what the session
//     saw then and the text after its step (`views_`).
// Owner: the document. Moved, not copied. const functions keep a cache: one thread at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/shared_text.h"
#include "document/engine/rope.h"
#include "document/engine/text_operation.h"
#include "document/engine/text_shape.h"

namespace tidemark::document::engine {

class Text {
 public:
  struct Step {
    uint64_t version = 0;
    SharedText session;
    TextOperation operation;  // on the text of the version before
    std::string removed;      // what it removed, in order
  };

  // Who saw an earlier version than this, and did not make it, saw something that is not the beginning of this text.
  struct Origin {
    uint64_t version = 0;
    SharedText session;
  };

  explicit Text(std::string_view initial) : rope_(initial) {}
  Text(std::string_view initial, Origin origin) : rope_(initial), origin_(std::move(origin)) {}

  size_t length() const { return rope_.length(); }
  size_t bytes() const { return rope_.bytes(); }
  std::string str() const { return rope_.text(); }
  const Origin& origin() const { return origin_; }

  // Whether that author sees the present text.
  bool is_seen(uint64_t version) const { return steps_.empty() || steps_.back().version <= version; }
  // From the text that the author sees (`version` and the own steps since; empty: none are own) to the present one.
  // Valid until the next call of this or of one that is not const.
  const TextShape& since(uint64_t version, std::string_view session) const;
  // The text at the beginning of a shape that since() gave.
  std::string seen(const TextShape& shape) const;

  // The next step, made by an author who saw the text before it. `operation` must fit.
  void apply(uint64_t version, const SharedText& session, TextOperation&& operation);
  // The same by an author who saw an older text, `seen` and the own steps since. `authored` must fit that.
  void apply(uint64_t version, const SharedText& session, const TextOperation& authored, uint64_t seen);

  const Step* step(uint64_t version) const;  // nullptr: none, or forgotten
  // Steps up to this version are not needed any more.
  void forget(uint64_t version);

  // For snapshots: all that there is.
  const std::deque<Step>& steps() const { return steps_; }
  const std::map<std::string, TextShape, std::less<>>& views() const { return views_; }
  void restore(std::deque<Step> steps, std::map<std::string, TextShape, std::less<>> views);

 private:
  void take(uint64_t version, const SharedText& session, TextOperation&& operation);
  const TextShape& composed(uint64_t from, uint64_t to, TextShape& made) const;
  size_t first_after(uint64_t version) const;  // index in steps_

  Rope rope_;
  Origin origin_;
  std::deque<Step> steps_;
  uint64_t first_ = 0;  // number of the first kept step, counted from the first ever
  std::map<std::string, TextShape, std::less<>> views_;
  // Key: number of the first step times 64, plus k.
  mutable std::unordered_map<uint64_t, TextShape> composed_;
  mutable TextShape step_shape_;  // memory for composed()
  mutable TextShape scratch_;
  // What since() was asked last: who decides about an operation asks again when it is applied.
  struct Asked {
    uint64_t version;
    std::string session;
    TextShape shape;
  };
  mutable std::optional<Asked> asked_;
};

}  // namespace tidemark::document::engine
