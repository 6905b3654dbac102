// ASCII letters without case, for the names that protocols define.
#pragma once

#include <algorithm>
#include <string_view>

namespace tidemark {

// Not boost::beast::iequals: that of 1.81 reads one byte behind both texts where only the case of some letter differs.
inline bool equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace tidemark
