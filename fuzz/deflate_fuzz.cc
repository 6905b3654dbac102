// permessage-deflate: what is inflated stays within its limit, and what we deflate is inflated to the same.
#include <string>

#include "core/deflate.h"
#include "fuzz.h"

namespace tidemark {

FUZZ_TARGET(deflate, bytes) {
  const size_t limit = fuzz::Choices(bytes).number(2);
  const Inflated small = inflate_message(bytes, limit);
  TIDEMARK_CHECK(small.outcome != Inflated::Outcome::whole || small.payload.size() <= limit);
  const auto outcome = small.outcome;
  const std::string payload(outcome == Inflated::Outcome::whole ? small.payload : std::string_view());
  const Inflated large = inflate_message(bytes, limit + 100'000);
  if (outcome == Inflated::Outcome::whole) {
    TIDEMARK_CHECK(large.outcome == Inflated::Outcome::whole && large.payload == payload);
  } else if (large.outcome == Inflated::Outcome::whole) {
    TIDEMARK_CHECK(outcome == Inflated::Outcome::too_big && large.payload.size() > limit);
  }
  const std::string deflated(deflate_message(bytes));
  const Inflated back = inflate_message(deflated, bytes.size());
  TIDEMARK_CHECK(back.outcome == Inflated::Outcome::whole && back.payload == bytes);
  if (!bytes.empty()) {
    TIDEMARK_CHECK(inflate_message(deflated, bytes.size() - 1).outcome == Inflated::Outcome::too_big);
  }
}

}  // namespace tidemark
