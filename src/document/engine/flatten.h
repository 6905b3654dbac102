// Reading JSON values into registers. Private to patch.cc and content.cc.
#pragma once

#include <simdjson.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "document/engine/patch.h"

namespace tidemark::document::engine {

// JSON text that was found valid, and can be read with every byte of it. One at a time on a thread: it borrows the
// thread's parsers.
class Reading {
 public:
  // Refused: what core/json.h refuses.
  static Result<Reading> open(std::string_view text, size_t depth_max);

  // To look things up.
  simdjson::dom::element element() const { return element_; }
  // To walk through once, numbers as they were written.
  Result<simdjson::ondemand::object> object();

 private:
  std::string_view text_;
  simdjson::dom::element element_;
  std::unique_ptr<simdjson::padded_string> padded_;
  std::unique_ptr<simdjson::ondemand::document> document_;
};

struct FlattenRules {
  size_t depth_max;  // of a path and its value together
  size_t key_bytes_max;
  bool nested = true;   // false: keys are no paths, and objects are refused
  std::string_view id;  // a member "id" must be this
};

// Appends the writes of an object's members, ordered and checked.
Result<std::vector<Write>> flatten(simdjson::ondemand::object object, const FlattenRules& rules);
// The write or writes of one value that stands at `path`.
Status flatten_value(simdjson::ondemand::value value, std::string& path, size_t segments, const FlattenRules& rules,
                     std::vector<Write>& writes);
// Orders them; invalid_field if two are of one register or, where they are nested, one is above another.
Status order_writes(std::vector<Write>& writes, bool nested);

}  // namespace tidemark::document::engine
