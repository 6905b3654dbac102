// The UTF-8 validator says what simdjson says, wherever the text is cut.
#include <simdjson.h>

#include "fuzz.h"
#include "gateway/utf8.h"

namespace tidemark::gateway {

FUZZ_TARGET(utf8, bytes) {
  fuzz::Choices choices(bytes);
  fuzz::Cuts cuts(choices.number(2));
  const bool valid = simdjson::validate_utf8(bytes.data(), bytes.size());
  Utf8Validator whole;
  TIDEMARK_CHECK((whole.feed(bytes) && whole.complete()) == valid);
  Utf8Validator pieces;
  bool good = true;
  for (std::string_view rest = bytes; !rest.empty();) {
    const size_t size = cuts.next(rest.size());
    good = pieces.feed(rest.substr(0, size));
    rest.remove_prefix(size);
  }
  TIDEMARK_CHECK((good && pieces.complete()) == valid);
}

}  // namespace tidemark::gateway
