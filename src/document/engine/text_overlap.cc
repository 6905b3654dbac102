#include "document/engine/text_overlap.h"

#include <algorithm>
#include <set>
#include <span>
#include <utility>

#include "document/engine/code_points.h"

namespace tidemark::document::engine {
namespace {

using Span = TextShape::Span;
using Kind = TextOperation::Kind;

// Positions [from, to) in the author's text.
struct Stretch {
  size_t from;
  size_t to;
};

// What the operation replaces or where it inserts.
std::vector<Stretch> stretches_of(const TextOperation& operation) {
  std::vector<Stretch> found;
  size_t at = 0;
  for (const auto& part : operation.parts()) {
    if (part.kind == Kind::insert) {
      found.push_back({at, at});
      continue;
    }
    if (part.kind == Kind::remove && !found.empty() && found.back().to == at) {
      found.back().to += part.count;
    }
    at += part.count;
  }
  return found;
}

// A shape cut where something stands in both texts: each piece is a place where something happened, with the positions
// in the author's text where it begins and ends.
struct Piece {
  size_t from = 0;
  size_t to = 0;
  std::span<const Span> spans;

  bool removes_around(size_t position) const { return from < position && position < to; }
  std::set<uint64_t> versions_of(bool insertions) const {
    std::set<uint64_t> versions;
    for (const Span& span : spans) {
      if (span.seen() != insertions) {
        versions.insert(insertions ? span.inserted : span.removed);
      }
    }
    return versions;
  }
  // One operation has both removed and inserted here.
  bool is_replacement() const {
    const auto inserted = versions_of(true);
    const auto removed = versions_of(false);
    return std::any_of(removed.begin(), removed.end(), [&](uint64_t version) { return inserted.contains(version); });
  }
};

std::vector<Piece> pieces_of(const TextShape& shape) {
  std::vector<Piece> pieces;
  size_t at = 0;
  bool open = false;
  const std::span<const Span> spans(shape.spans());
  for (size_t i = 0; i < spans.size(); ++i) {
    if (!spans[i].changed()) {
      at += spans[i].count;
      open = false;
      continue;
    }
    if (!std::exchange(open, true)) {
      pieces.push_back({at, at, spans.subspan(i, 0)});
    }
    Piece& piece = pieces.back();
    at += spans[i].seen() ? spans[i].count : 0;
    piece.to = at;
    piece.spans = {piece.spans.data(), piece.spans.size() + 1};
  }
  return pieces;
}

bool overlap(const Stretch& stretch, const Piece& piece) {
  const bool share_removed = stretch.from < piece.to && piece.from < stretch.to;
  return piece.removes_around(stretch.from) || (share_removed && piece.is_replacement());
}

std::string_view part_of(std::string_view text, size_t from, size_t to) {
  take_code_points(text, from);
  return take_code_points(text, to - from);
}

// Where in the new text (rebased over the shape) the position of the author's text is; before or behind what was
// inserted.
size_t mapped(const TextShape& shape, size_t position, bool behind) {
  size_t there = 0;
  for (const Span& span : shape.spans()) {
    if (span.seen() && span.count > position) {
      return there + (span.there() ? position : 0);
    }
    if (!span.seen() && position == 0 && !behind) {
      return there;
    }
    position -= span.seen() ? span.count : 0;
    there += span.there() ? span.count : 0;
  }
  return there + position;
}

}  // namespace

std::optional<TextOverlap> find_overlap(const Text& text, const TextShape& shape, const TextOperation& operation) {
  size_t from = SIZE_MAX;
  size_t to = 0;
  std::set<uint64_t> versions;
  const auto pieces = pieces_of(shape);
  auto first = pieces.begin();
  for (const Stretch& stretch : stretches_of(operation)) {
    while (first != pieces.end() && first->to < stretch.from) {
      ++first;
    }
    for (auto piece = first; piece != pieces.end() && piece->from <= stretch.to; ++piece) {
      if (overlap(stretch, *piece)) {
        from = std::min({from, stretch.from, piece->from});
        to = std::max({to, stretch.to, piece->to});
        versions.merge(piece->versions_of(true));
        versions.merge(piece->versions_of(false));
      }
    }
  }
  if (from == SIZE_MAX) {
    return std::nullopt;
  }
  // The author's own operation as a shape: it maps the stretch to what the author made of it.
  const TextShape authored(operation, UINT64_MAX);
  const std::string seen = text.seen(shape);
  const auto made_of_it = [&](const TextShape& way, std::string_view result) {
    return std::string(part_of(result, mapped(way, from, false), mapped(way, to, true)));
  };
  return TextOverlap{std::string(part_of(seen, from, to)),
                     made_of_it(shape, text.str()),
                     made_of_it(authored, operation.applied_to(seen)),
                     {versions.begin(), versions.end()}};
}

}  // namespace tidemark::document::engine
