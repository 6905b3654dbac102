#include "core/ids.h"

#include <simdjson.h>

namespace tidemark {

bool is_valid_id(std::string_view text) {
  if (text.empty() || text.size() > kIdBytesMax || !simdjson::validate_utf8(text.data(), text.size())) {
    return false;
  }
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 || byte == 0x7f) {
      return false;
    }
    // C1 controls are U+0080 to U+009F: C2 80 to C2 9F.
    if (byte == 0xc2 && static_cast<unsigned char>(text[i + 1]) < 0xa0) {
      return false;
    }
  }
  return true;
}

}  // namespace tidemark
