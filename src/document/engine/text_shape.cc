#include "document/engine/text_shape.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <span>

namespace tidemark::document::engine {
namespace {

using Span = TextShape::Span;
using Kind = TextOperation::Kind;

// Spans from left to right, cut as one likes. Behind the last one there is what both texts have.
class Reader {
 public:
  explicit Reader(const std::vector<Span>& spans) : at_(spans.begin()), end_(spans.end()) {
    if (at_ != end_) {
      span_ = *at_;
    }
  }

  bool done() const { return at_ == end_; }
  // What is next, as far as it is of one kind.
  const Span& peek() const { return done() ? kRest : span_; }

  // At most `count` of what is next.
  Span take(size_t count) {
    Span taken = peek();
    taken.count = static_cast<uint32_t>(std::min<size_t>(taken.count, count));
    if (done()) {
      return taken;
    }
    span_.count -= taken.count;
    span_.offset += span_.removed != 0 ? taken.count : 0;
    if (span_.count == 0 && ++at_ != end_) {
      span_ = *at_;
    }
    return taken;
  }
  Span take() { return take(peek().count); }

  // As many whole spans as `count` code points of the new text reach over, with what is not there before the last of
  // them. Mostly these are many, and nothing has to be looked at twice.
  std::span<const Span> take_whole(size_t& count) {
    if (done() || span_.count != at_->count) {
      return {};
    }
    auto end = at_;
    for (; end != end_ && count > 0 && (!end->there() || end->count <= count); ++end) {
      count -= end->there() ? end->count : 0;
    }
    const std::span<const Span> whole(at_, end);
    at_ = end;
    if (at_ != end_) {
      span_ = *at_;
    }
    return whole;
  }

 private:
  static constexpr Span kRest = {std::numeric_limits<uint32_t>::max(), 0, 0, 0};

  std::vector<Span>::const_iterator at_;
  std::vector<Span>::const_iterator end_;
  Span span_;
};

}  // namespace

void TextShape::assign(const TextOperation& operation, uint64_t version) {
  spans_.clear();
  uint32_t offset = 0;
  for (const auto& part : operation.parts()) {
    const auto count = static_cast<uint32_t>(part.count);
    switch (part.kind) {
      case Kind::retain:
        push({count, 0, 0, 0});
        break;
      case Kind::insert:
        push({count, 0, version, 0});
        break;
      case Kind::remove:
        push({count, offset, 0, version});
        offset += count;
        break;
    }
  }
}

void TextShape::push(const Span& span) {
  if (span.count == 0) {
    return;
  }
  if (!spans_.empty()) {
    Span& last = spans_.back();
    const bool same = last.inserted == span.inserted && last.removed == span.removed;
    if (same && (span.removed == 0 || last.offset + last.count == span.offset)) {
      last.count += span.count;
      return;
    }
  }
  spans_.push_back(span);
}

// `spans` are joined as far as they can be.
void TextShape::push_all(std::span<const Span> spans) {
  if (!spans.empty()) {
    push(spans.front());
    spans_.insert(spans_.end(), spans.begin() + 1, spans.end());
  }
}

// When what stood between them is gone, text stands behind what was removed in its gap before it came.
void TextShape::push_in_gap(const Span& span) {
  auto at = spans_.end();
  while (span.removed != 0 && at != spans_.begin() && std::prev(at)->inserted > span.removed) {
    --at;
  }
  const std::vector<Span> behind(at, spans_.end());
  spans_.erase(at, spans_.end());
  push(span);
  for (const Span& moved : behind) {
    push(moved);
  }
}

size_t TextShape::seen_length() const {
  size_t length = 0;
  for (const Span& span : spans_) {
    length += span.seen() ? span.count : 0;
  }
  return length;
}

ptrdiff_t TextShape::growth() const {
  ptrdiff_t growth = 0;
  for (const Span& span : spans_) {
    growth += (span.there() ? span.count : 0) - static_cast<ptrdiff_t>(span.seen() ? span.count : 0);
  }
  return growth;
}

void TextShape::compose(const TextShape& first, const TextShape& next, TextShape& result) {
  result.spans_.clear();
  result.spans_.reserve(first.spans_.size() + next.spans_.size() + 8);
  Reader base(first.spans_);
  for (const Span& span : next.spans_) {
    if (!span.seen()) {
      while (!base.done() && !base.peek().there()) {
        result.push(base.take());  // the new text stands behind what was removed in its gap
      }
      result.push(span);
      continue;
    }
    Span left = span;
    if (size_t count = left.count; left.there()) {
      result.push_all(base.take_whole(count));
      left.count = static_cast<uint32_t>(count);
    }
    while (left.count > 0) {
      Span part = base.take(base.peek().there() ? left.count : base.peek().count);
      if (part.there()) {
        part.removed = left.removed;
        part.offset = left.offset;
        left.count -= part.count;
        left.offset += left.removed != 0 ? part.count : 0;
      }
      result.push(part);
    }
  }
  if (!base.done()) {
    result.push(base.take());
    size_t everything = std::numeric_limits<size_t>::max();
    result.push_all(base.take_whole(everything));
  }
}

void TextShape::seen_until(uint64_t version) {
  TextShape result;
  for (Span span : spans_) {
    if (span.inserted <= version) {
      span.inserted = 0;
      if (span.removed != 0 && span.removed <= version) {
        continue;
      }
    }
    result.push(span);
  }
  while (!result.spans_.empty() && !result.spans_.back().changed()) {
    result.spans_.pop_back();
  }
  *this = std::move(result);
}

TextOperation TextShape::rebase(const TextOperation& operation) const {
  TextOperation result;
  Reader reader(spans_);
  std::string_view inserted = operation.inserted();
  for (const auto& part : operation.parts()) {
    if (part.kind == Kind::insert) {
      result.insert(inserted.substr(0, part.bytes), part.count);
      inserted.remove_prefix(part.bytes);
      continue;
    }
    for (size_t left = part.count; left > 0;) {
      const Span span = reader.take(reader.peek().seen() ? left : reader.peek().count);
      left -= span.seen() ? span.count : 0;
      if (!span.there()) {
        continue;
      }
      if (part.kind == Kind::remove && span.seen()) {
        result.remove(span.count);
      } else {
        result.retain(span.count);
      }
    }
  }
  return result;
}

TextShape TextShape::after(const TextOperation& operation) const {
  TextShape result;
  Reader reader(spans_);
  for (const auto& part : operation.parts()) {
    if (part.kind == Kind::insert) {
      result.push({static_cast<uint32_t>(part.count), 0, 0, 0});
      continue;
    }
    for (size_t left = part.count; left > 0;) {
      const Span span = reader.take(reader.peek().seen() ? left : reader.peek().count);
      left -= span.seen() ? span.count : 0;
      if (part.kind == Kind::retain || !span.seen()) {
        result.push_in_gap(span);
      }
    }
  }
  while (!reader.done()) {
    result.push_in_gap(reader.take());
  }
  while (!result.spans_.empty() && !result.spans_.back().changed()) {
    result.spans_.pop_back();
  }
  return result;
}

}  // namespace tidemark::document::engine
