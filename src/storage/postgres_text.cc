#include "storage/postgres_text.h"

namespace tidemark::storage {
namespace {

constexpr std::string_view kMark = "\xEF\xB7\x90";  // U+FDD0

}  // namespace

std::string numbered_parameters(std::string_view sql) {
  std::string result;
  result.reserve(sql.size() + 16);
  int number = 0;
  char quote = 0;
  for (const char c : sql) {
    if (quote != 0) {
      quote = c == quote ? '\0' : quote;
    } else if (c == '\'' || c == '"') {
      quote = c;
    } else if (c == '?') {
      result += '$';
      result += std::to_string(++number);
      continue;
    }
    result += c;
  }
  return result;
}

bool needs_escape(std::string_view text) {
  return text.find('\0') != std::string_view::npos || text.find(kMark) != std::string_view::npos;
}

std::string escape_text(std::string_view text) {
  std::string result;
  result.reserve(text.size() + 16);
  for (size_t i = 0; i < text.size();) {
    if (text[i] == '\0') {
      result.append(kMark).append(1, '0');
      ++i;
    } else if (text.substr(i).starts_with(kMark)) {
      result.append(kMark).append(1, '1');
      i += kMark.size();
    } else {
      result += text[i++];
    }
  }
  return result;
}

bool is_escaped(std::string_view stored) { return stored.find(kMark) != std::string_view::npos; }

std::string unescape_text(std::string_view stored) {
  std::string result;
  result.reserve(stored.size());
  for (size_t at = 0;;) {
    const size_t mark = stored.find(kMark, at);
    if (mark == std::string_view::npos) {
      return result.append(stored.substr(at));
    }
    result.append(stored.substr(at, mark - at));
    const size_t kind = mark + kMark.size();
    if (kind < stored.size() && stored[kind] == '0') {
      result += '\0';
    } else {
      result.append(kMark);
    }
    at = std::min(kind + 1, stored.size());
  }
}

}  // namespace tidemark::storage
