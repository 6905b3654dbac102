#include "app/bench/document_author.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "core/json.h"

namespace tidemark::app {
namespace {

constexpr uint64_t kTypedMax = 8;      // code points of one operation
constexpr uint64_t kJumpEvery = 32;    // operations, about
constexpr uint64_t kRemoveEvery = 50;  // of a whiteboard: operations between two removals, about

constexpr std::string_view kCharacters[] = {"e",      "t", " ", "a",          "\u00e9", "n",
                                            "\u6f22", "o", "r", "\U0001f600", "i",      "s"};

std::string colour(Random& random) { return fmt::format("#{:06x}", random.below(0x1000000)); }

}  // namespace

std::string text_of_length(size_t code_points) {
  std::string text;
  for (size_t i = 0; i < code_points; ++i) {
    text += kCharacters[i % std::size(kCharacters)];
  }
  return text;
}

DocumentAuthor::Made DocumentAuthor::make(size_t length, Random& random) {
  return options_.kind == DocumentKind::text ? write_text(length, random) : draw(random);
}

DocumentAuthor::Made DocumentAuthor::draw(Random& random) {
  const uint64_t x = random.below(4000);
  const uint64_t y = random.below(4000);
  if (objects_.size() < options_.objects) {
    objects_.push_back(fmt::format("w{}-{}", options_.number, ++created_));
    return {"create",
            fmt::format(R"({{"id":"{}","x":{},"y":{},"w":120,"h":80,"style":{{"fill":"{}"}}}})", objects_.back(), x, y,
                        colour(random)),
            0};
  }
  if (random.below(kRemoveEvery) == 0) {
    const std::string gone = std::move(objects_.front());
    objects_.pop_front();
    return {"delete", fmt::format(R"({{"id":"{}"}})", gone), 0};
  }
  const std::string& id = objects_[random.below(objects_.size())];
  switch (random.below(10)) {
    case 0:
      return {"resize", fmt::format(R"({{"id":"{}","w":{},"h":{}}})", id, 1 + x / 8, 1 + y / 8), 0};
    case 1:
      return {"style",
              fmt::format(R"({{"id":"{}","style":{{"fill":"{}","width":{}}}}})", id, colour(random), 1 + x % 9), 0};
    case 2:
      return {"update", fmt::format(R"({{"id":"{}","label":"caf\u00e9 {}"}})", id, x), 0};
    default:
      return {"move", fmt::format(R"({{"id":"{}","x":{},"y":{}}})", id, x, y), 0};
  }
}

DocumentAuthor::Made DocumentAuthor::write_text(size_t length, Random& random) {
  if (random.below(kJumpEvery) == 0) {
    cursor_ = random.below(length + 1);
  }
  cursor_ = std::min(cursor_, length);
  const uint64_t count = 1 + random.below(kTypedMax);
  Made made{"text", "{\"ops\":[", 0};
  // Twice as long as it should be: never inserts; empty: always.
  if (random.below(2 * options_.text_length + 1) < length) {
    made.removed = std::min<size_t>(count, cursor_);
    cursor_ -= made.removed;
  }
  if (cursor_ > 0) {
    made.data += std::to_string(cursor_) + ',';
  }
  if (made.removed > 0) {
    made.data += "{\"d\":" + std::to_string(made.removed) + "}]}";
    return made;
  }
  std::string typed;
  for (uint64_t i = 0; i < count; ++i) {
    typed += kCharacters[random.below(std::size(kCharacters))];
  }
  append_json_string(made.data, typed);
  made.data += "]}";
  cursor_ += count;
  return made;
}

}  // namespace tidemark::app
