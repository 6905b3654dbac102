// The request target (RFC 9112, 3.2) taken apart. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidemark::http {

// Views into the target.
struct Target {
  std::string_view authority;  // of the absolute form, http://authority/path; else empty
  std::string_view path;       // still percent-encoded; begins with a slash unless it is nonsense
  std::string_view query;      // without the question mark
};

Target split_target(std::string_view target);

// The pairs of a query in their order, decoded; nothing if an escape is broken.
std::optional<std::vector<std::pair<std::string, std::string>>> query_parameters(std::string_view query);

// Whether a Host header or authority names this machine to itself: localhost, 127.0.0.1 or [::1], with any port.
bool is_loopback_host(std::string_view host);

}  // namespace tidemark::http
