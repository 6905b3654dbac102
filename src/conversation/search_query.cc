#include "conversation/search_query.h"

namespace tidemark::conversation {
namespace {

// Control characters separate as well: a NUL would end the query in the middle of a quoted term.
bool separates(char c) { return static_cast<unsigned char>(c) <= ' ' || c == '\x7f'; }

}  // namespace

Result<std::string> search_query(std::string_view typed) {
  std::string query;
  size_t terms = 0;
  for (size_t i = 0; i < typed.size();) {
    if (separates(typed[i])) {
      ++i;
      continue;
    }
    if (++terms > kSearchTermsMax) {
      return invalid_field("q", "at most " + std::to_string(kSearchTermsMax) + " words");
    }
    query += query.empty() ? "\"" : " \"";
    for (; i < typed.size() && !separates(typed[i]); ++i) {
      query += typed[i];
      if (typed[i] == '"') {
        query += '"';
      }
    }
    query += '"';
  }
  if (terms == 0) {
    return invalid_field("q", "a word to look for is needed");
  }
  return query;
}

std::string_view indexed_part(std::string_view text) {
  if (text.size() <= kIndexedBytes) {
    return text;
  }
  size_t end = kIndexedBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) {
    --end;
  }
  return text.substr(0, end);
}

}  // namespace tidemark::conversation
