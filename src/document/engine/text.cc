#include "document/engine/text.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "document/engine/code_points.h"

namespace tidemark::document::engine {
namespace {

// So few are composed one after the other: that is cheaper than to halve, and to look up.
constexpr uint64_t kFoldedStepsMax = 8;
// How often forgotten steps are looked for in the caches.
constexpr uint64_t kForgetEvery = 1024;

}  // namespace

void Text::restore(std::deque<Step> steps, std::map<std::string, TextShape, std::less<>> views) {
  steps_ = std::move(steps);
  views_ = std::move(views);
}

size_t Text::first_after(uint64_t version) const {
  const auto at = std::upper_bound(steps_.begin(), steps_.end(), version,
                                   [](uint64_t wanted, const Step& step) { return wanted < step.version; });
  return static_cast<size_t>(at - steps_.begin());
}

const Text::Step* Text::step(uint64_t version) const {
  const size_t at = first_after(version);
  return at > 0 && steps_[at - 1].version == version ? &steps_[at - 1] : nullptr;
}

const TextShape& Text::since(uint64_t version, std::string_view session) const {
  if (asked_ && asked_->version == version && asked_->session == session) {
    return asked_->shape;
  }
  size_t from = first_after(version);
  TextShape view;
  for (size_t at = steps_.size(); !session.empty() && at > from; --at) {
    if (steps_[at - 1].session == session) {
      from = at;
      if (const auto known = views_.find(session); known != views_.end()) {
        view = known->second;
        view.seen_until(version);
      }
      break;
    }
  }
  if (from < steps_.size()) {
    TextShape made;
    const TextShape& others = composed(first_ + from, first_ + steps_.size(), made);
    view = view.empty() ? others : view.then(others);
  }
  asked_ = Asked{version, std::string(session), std::move(view)};
  return asked_->shape;
}

// Splits where the numbers of steps are divisible by the highest power of two, so that long ranges are made of the same
// few pieces, whoever asks. The result is kept, or in `made`.
const TextShape& Text::composed(uint64_t from, uint64_t to, TextShape& made) const {
  if (to - from <= kFoldedStepsMax) {
    made = TextShape();
    for (; from < to; ++from) {
      const Step& step = steps_[from - first_];
      step_shape_.assign(step.operation, step.version);
      TextShape::compose(made, step_shape_, scratch_);
      std::swap(made, scratch_);
    }
    return made;
  }
  const int level = static_cast<int>(std::bit_width(from ^ (to - 1))) - 1;
  TIDEMARK_CHECK(level >= 0);  // more than one step
  const uint64_t middle = (to - 1) >> level << level;
  const bool kept = to - from == uint64_t{2} << level;
  const uint64_t key = from << 6 | static_cast<uint64_t>(level);
  if (kept) {
    if (const auto known = composed_.find(key); known != composed_.end()) {
      return known->second;
    }
  }
  TextShape left;
  TextShape right;
  made = composed(from, middle, left).then(composed(middle, to, right));
  return kept ? composed_.emplace(key, std::move(made)).first->second : made;
}

std::string Text::seen(const TextShape& shape) const {
  const std::string present = str();
  std::string_view rest = present;
  std::string result;
  for (const TextShape::Span& span : shape.spans()) {
    if (span.there()) {
      const std::string_view passed = take_code_points(rest, span.count);
      result += span.seen() ? passed : std::string_view();
    } else if (span.seen()) {
      std::string_view removed = step(span.removed)->removed;
      take_code_points(removed, span.offset);
      result += take_code_points(removed, span.count);
    }
  }
  result += rest;
  return result;
}

void Text::take(uint64_t version, const SharedText& session, TextOperation&& operation) {
  asked_.reset();
  Step& step = steps_.emplace_back();
  step.version = version;
  step.session = session;
  step.operation = std::move(operation);
  size_t position = 0;
  std::string_view inserted = step.operation.inserted();
  for (const auto& part : step.operation.parts()) {
    switch (part.kind) {
      case TextOperation::Kind::retain:
        position += part.count;
        break;
      case TextOperation::Kind::insert:
        rope_.insert(position, inserted.substr(0, part.bytes));
        inserted.remove_prefix(part.bytes);
        position += part.count;
        break;
      case TextOperation::Kind::remove:
        rope_.remove(position, part.count, step.removed);
        break;
    }
  }
}

void Text::apply(uint64_t version, const SharedText& session, TextOperation&& operation) {
  take(version, session, std::move(operation));
  if (!views_.empty()) {
    views_.erase(session.str());
  }
}

void Text::apply(uint64_t version, const SharedText& session, const TextOperation& authored, uint64_t seen) {
  const TextShape& shape = since(seen, session);
  TextOperation operation = shape.rebase(authored);
  TextShape view = shape.after(authored);
  take(version, session, std::move(operation));
  if (session.empty() || view.empty()) {
    views_.erase(session.str());
  } else {
    views_.insert_or_assign(session.str(), std::move(view));
  }
}

void Text::forget(uint64_t version) {
  asked_.reset();
  while (!steps_.empty() && steps_.front().version <= version) {
    steps_.pop_front();
    if (++first_ % kForgetEvery != 0) {
      continue;
    }
    std::erase_if(composed_, [this](const auto& entry) { return entry.first >> 6 < first_; });
    for (auto& view : views_) {
      view.second.seen_until(version);
    }
    std::erase_if(views_, [](const auto& view) { return view.second.empty(); });
  }
}

}  // namespace tidemark::document::engine
