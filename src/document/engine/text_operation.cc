#include "document/engine/text_operation.h"

#include <algorithm>
#include <limits>

#include "core/json.h"
#include "document/engine/code_points.h"

namespace tidemark::document::engine {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

// Far above every text, far below an overflow of sums.
constexpr uint64_t kCountMax = std::numeric_limits<uint32_t>::max();

Error bad(std::string text) { return invalid_field("ops", std::move(text)); }

Result<size_t> count_of(element value) {
  uint64_t count = 0;
  if (value.get_uint64().get(count) != simdjson::SUCCESS) {
    return bad("a count is a whole number that is not negative");
  }
  if (count > kCountMax) {
    return bad("a count is above " + std::to_string(kCountMax));
  }
  return static_cast<size_t>(count);
}

}  // namespace

Result<TextOperation> TextOperation::parse(element ops) {
  TextOperation operation;
  const Status read = operation.read(ops);
  return read ? Result<TextOperation>(std::move(operation)) : read.error();
}

Status TextOperation::read(element ops) {
  simdjson::dom::array list;
  if (ops.get_array().get(list) != simdjson::SUCCESS) {
    return bad("ops is a list");
  }
  parts_.reserve(list.size());
  uint64_t total = 0;
  for (const element part : list) {
    std::string_view text;
    if (part.get_string().get(text) == simdjson::SUCCESS) {
      insert(text);
      continue;
    }
    simdjson::dom::object removal;
    element counted = part;
    const bool removes = part.get_object().get(removal) == simdjson::SUCCESS;
    if (removes && (removal.size() != 1 || removal.at_key("d").get(counted) != simdjson::SUCCESS)) {
      return bad("a removal is {\"d\": count}");
    }
    const auto count = count_of(counted);
    if (!count) {
      return count.error();
    }
    total += *count;
    if (total > kCountMax) {
      return bad("counts together are above " + std::to_string(kCountMax));
    }
    removes ? remove(*count) : retain(*count);
  }
  return {};
}

void TextOperation::retain(size_t count) { retained_ += count; }

void TextOperation::insert(std::string_view text) { insert(text, count_code_points(text)); }

void TextOperation::insert(std::string_view text, size_t count) {
  if (count == 0) {
    return;
  }
  add(Kind::insert, count);
  parts_.back().bytes += text.size();
  inserted_ += text;
}

void TextOperation::remove(size_t count) {
  if (count > 0) {
    add(Kind::remove, count);
  }
}

void TextOperation::add(Kind kind, size_t count) {
  if (retained_ > 0) {
    parts_.push_back({Kind::retain, retained_, 0});
    retained_ = 0;
  }
  if (!parts_.empty() && parts_.back().kind == kind) {
    parts_.back().count += count;
  } else {
    parts_.push_back({kind, count, 0});
  }
}

TextOperation TextOperation::insertions_first() const {
  TextOperation result;
  std::string_view inserted = inserted_;
  size_t removed = 0;  // held back
  for (const Part& part : parts_) {
    if (part.kind == Kind::insert) {
      result.insert(inserted.substr(0, part.bytes), part.count);
      inserted.remove_prefix(part.bytes);
    } else if (part.kind == Kind::remove) {
      removed += part.count;
    } else {
      result.remove(removed);
      removed = 0;
      result.retain(part.count);
    }
  }
  result.remove(removed);
  result.retain(retained_);
  return result;
}

bool TextOperation::has_insertions_first() const {
  const auto at = std::adjacent_find(parts_.begin(), parts_.end(), [](const Part& left, const Part& right) {
    return left.kind == Kind::remove && right.kind == Kind::insert;
  });
  return at == parts_.end();
}

size_t TextOperation::base_length() const {
  size_t length = retained_;
  for (const Part& part : parts_) {
    length += part.kind == Kind::insert ? 0 : part.count;
  }
  return length;
}

ptrdiff_t TextOperation::growth() const {
  ptrdiff_t growth = 0;
  for (const Part& part : parts_) {
    const auto count = static_cast<ptrdiff_t>(part.count);
    growth += part.kind == Kind::insert ? count : part.kind == Kind::remove ? -count : 0;
  }
  return growth;
}

TextOperation TextOperation::inverse(std::string_view removed) const {
  TextOperation back;
  for (const Part& part : parts_) {
    switch (part.kind) {
      case Kind::retain:
        back.retain(part.count);
        break;
      case Kind::insert:
        back.remove(part.count);
        break;
      case Kind::remove:
        back.insert(take_code_points(removed, part.count), part.count);
        break;
    }
  }
  return back;
}

std::string TextOperation::applied_to(std::string_view text) const {
  std::string result;
  std::string_view inserted = inserted_;
  for (const Part& part : parts_) {
    switch (part.kind) {
      case Kind::retain:
        result += take_code_points(text, part.count);
        break;
      case Kind::insert:
        result += inserted.substr(0, part.bytes);
        inserted.remove_prefix(part.bytes);
        break;
      case Kind::remove:
        take_code_points(text, part.count);
        break;
    }
  }
  result += text;
  return result;
}

std::string TextOperation::removed_from(std::string_view text) const {
  std::string removed;
  for (const Part& part : parts_) {
    if (part.kind != Kind::insert) {
      const std::string_view passed = take_code_points(text, part.count);
      removed += part.kind == Kind::remove ? passed : std::string_view();
    }
  }
  return removed;
}

std::string TextOperation::json() const {
  std::string out = "[";
  std::string_view inserted = inserted_;
  for (const Part& part : parts_) {
    out += out.size() > 1 ? "," : "";
    switch (part.kind) {
      case Kind::retain:
        append_number(out, static_cast<int64_t>(part.count));
        break;
      case Kind::insert:
        append_json_string(out, inserted.substr(0, part.bytes));
        inserted.remove_prefix(part.bytes);
        break;
      case Kind::remove:
        out += "{\"d\":";
        append_number(out, static_cast<int64_t>(part.count));
        out += '}';
        break;
    }
  }
  out += ']';
  return out;
}

}  // namespace tidemark::document::engine
