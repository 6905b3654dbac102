#include "document/engine/text_diff.h"

#include <algorithm>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "document/engine/code_points.h"

namespace tidemark::document::engine {
namespace {

constexpr size_t kDifferencesMax = 256;
// The effort is at most differences times units.
constexpr size_t kUnitsMax = 16 * 1024;

// A text in pieces; equal pieces have equal numbers.
struct Units {
  std::string_view text;
  std::vector<uint32_t> numbers;
  std::vector<size_t> starts = {0};  // and the end of the last

  size_t size() const { return numbers.size(); }
  std::string_view part(size_t from, size_t to) const { return text.substr(starts[from], starts[to] - starts[from]); }
};
using Numbers = std::unordered_map<std::string_view, uint32_t>;

size_t code_point_size(std::string_view text) { return byte_of_code_point(text, 1); }
size_t line_size(std::string_view text) {
  const size_t end = text.find('\n');
  return end == std::string_view::npos ? text.size() : end + 1;
}

using Measure = size_t (*)(std::string_view);

Units units_of(std::string_view text, Measure measure, Numbers& numbers) {
  Units units{text, {}};
  for (std::string_view rest = text; !rest.empty() && units.size() <= kUnitsMax;) {
    const std::string_view unit = rest.substr(0, measure(rest));
    units.numbers.push_back(numbers.emplace(unit, static_cast<uint32_t>(numbers.size())).first->second);
    units.starts.push_back(units.starts.back() + unit.size());
    rest.remove_prefix(unit.size());
  }
  return units;
}

// Units [from, to) of the old became units [into, until) of the new.
struct Hunk {
  size_t from, to, into, until;
};

// The furthest reaching paths of each number of differences, kept to walk back along them.
class Myers {
 public:
  Myers(const Units& a, const Units& b) : a_(a), b_(b) {}

  // False: more than kDifferencesMax differences.
  bool run() {
    const auto max = static_cast<ptrdiff_t>(std::min(a_.size() + b_.size(), kDifferencesMax));
    std::vector<ptrdiff_t> furthest(static_cast<size_t>(2 * max + 3), 0);
    offset_ = max + 1;
    for (ptrdiff_t d = 0; d <= max; ++d) {
      trace_.push_back(furthest);
      for (ptrdiff_t k = -d; k <= d; k += 2) {
        ptrdiff_t x = step(trace_.back(), d, k);
        while (inside(x, x - k) && a_.numbers[static_cast<size_t>(x)] == b_.numbers[static_cast<size_t>(x - k)]) {
          ++x;
        }
        furthest[static_cast<size_t>(offset_ + k)] = x;
        if (x >= size(a_) && x - k >= size(b_)) {
          return true;
        }
      }
    }
    return false;
  }

  std::vector<Hunk> hunks() const {
    std::vector<Hunk> found;
    ptrdiff_t x = size(a_);
    ptrdiff_t y = size(b_);
    for (auto d = static_cast<ptrdiff_t>(trace_.size()) - 1; d > 0; --d) {
      const auto& before = trace_[static_cast<size_t>(d)];
      const ptrdiff_t k = x - y;
      const ptrdiff_t after = step(before, d, k);  // where the snake behind this difference begins
      const bool inserts = k == -d || (k != d && at(before, k - 1) < at(before, k + 1));
      x = inserts ? after : after - 1;
      y = inserts ? after - k - 1 : after - k;
      const auto ux = static_cast<size_t>(x);
      const auto uy = static_cast<size_t>(y);
      const Hunk hunk{ux, inserts ? ux : ux + 1, uy, inserts ? uy + 1 : uy};
      if (!found.empty() && found.back().from == hunk.to && found.back().into == hunk.until) {
        found.back().from = hunk.from;
        found.back().into = hunk.into;
      } else {
        found.push_back(hunk);
      }
    }
    std::reverse(found.begin(), found.end());
    return found;
  }

 private:
  static ptrdiff_t size(const Units& units) { return static_cast<ptrdiff_t>(units.size()); }
  bool inside(ptrdiff_t x, ptrdiff_t y) const { return x < size(a_) && y < size(b_); }
  ptrdiff_t at(const std::vector<ptrdiff_t>& furthest, ptrdiff_t k) const {
    return furthest[static_cast<size_t>(offset_ + k)];
  }
  // One difference from the paths before: down (a unit of b is inserted) or to the right (one of a is removed).
  ptrdiff_t step(const std::vector<ptrdiff_t>& before, ptrdiff_t d, ptrdiff_t k) const {
    if (d == 0) {
      return 0;
    }
    const bool inserts = k == -d || (k != d && at(before, k - 1) < at(before, k + 1));
    return inserts ? at(before, k + 1) : at(before, k - 1) + 1;
  }

  const Units& a_;
  const Units& b_;
  ptrdiff_t offset_ = 0;
  std::vector<std::vector<ptrdiff_t>> trace_;
};

void append_replacement(std::string_view from, std::string_view to, TextOperation& out) {
  out.insert(to);
  out.remove(count_code_points(from));
}

void append_diff(std::string_view from, std::string_view to, Measure measure, TextOperation& out) {
  Numbers numbers;
  const Units a = units_of(from, measure, numbers);
  const Units b = units_of(to, measure, numbers);
  Myers myers(a, b);
  if (a.size() > kUnitsMax || b.size() > kUnitsMax || a.size() == 0 || b.size() == 0 || !myers.run()) {
    append_replacement(from, to, out);
    return;
  }
  size_t at = 0;
  for (const Hunk& hunk : myers.hunks()) {
    out.retain(count_code_points(a.part(at, hunk.from)));
    at = hunk.to;
    const std::string_view old_part = a.part(hunk.from, hunk.to);
    const std::string_view new_part = b.part(hunk.into, hunk.until);
    if (measure == &line_size) {
      append_diff(old_part, new_part, &code_point_size, out);
    } else {
      append_replacement(old_part, new_part, out);
    }
  }
  out.retain(count_code_points(a.part(at, a.size())));
}

// How many bytes of whole code points both begin with, or end with.
size_t common_beginning(std::string_view a, std::string_view b) {
  size_t size = static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
  while (size > 0 && size < std::max(a.size(), b.size()) &&
         ((size < a.size() && !starts_code_point(a[size])) || (size < b.size() && !starts_code_point(b[size])))) {
    --size;
  }
  return size;
}

size_t common_end(std::string_view a, std::string_view b) {
  size_t size = static_cast<size_t>(std::mismatch(a.rbegin(), a.rend(), b.rbegin(), b.rend()).first - a.rbegin());
  while (size > 0 && !starts_code_point(a[a.size() - size])) {
    --size;
  }
  return size;
}

}  // namespace

TextOperation text_diff(std::string_view from, std::string_view to) {
  TextOperation operation;
  const size_t beginning = common_beginning(from, to);
  operation.retain(count_code_points(from.substr(0, beginning)));
  from.remove_prefix(beginning);
  to.remove_prefix(beginning);
  const size_t end = common_end(from, to);
  from.remove_suffix(end);
  to.remove_suffix(end);
  append_diff(from, to, &line_size, operation);
  return operation.insertions_first();
}

}  // namespace tidemark::document::engine
