#include "http/target.h"

#include <algorithm>

#include "command/table.h"
#include "core/ascii.h"

namespace tidemark::http {

Target split_target(std::string_view target) {
  Target parts;
  target = target.substr(0, target.find('#'));
  const size_t scheme = target.find("://");
  if (!target.starts_with('/') && scheme != std::string_view::npos && scheme < target.find('?')) {
    const size_t start = scheme + 3;
    const size_t end = std::min(target.find_first_of("/?", start), target.size());
    parts.authority = target.substr(start, end - start);
    target.remove_prefix(end);
  }
  const size_t question = std::min(target.find('?'), target.size());
  parts.path = target.substr(0, question);
  parts.query = target.substr(std::min(question + 1, target.size()));
  if (parts.path.empty()) {
    parts.path = "/";
  }
  return parts;
}

std::optional<std::vector<std::pair<std::string, std::string>>> query_parameters(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> parameters;
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) {
      continue;
    }
    const size_t equals = std::min(pair.find('='), pair.size());
    auto name = command::percent_decode(pair.substr(0, equals), true);
    auto value = command::percent_decode(pair.substr(std::min(equals + 1, pair.size())), true);
    if (!name || !value) {
      return std::nullopt;
    }
    parameters.emplace_back(std::move(*name), std::move(*value));
  }
  return parameters;
}

bool is_loopback_host(std::string_view host) {
  size_t name_end = host.find(':');
  if (host.starts_with('[')) {
    name_end = host.find(']');
    name_end = name_end == std::string_view::npos ? name_end : name_end + 1;
  }
  name_end = std::min(name_end, host.size());
  const std::string_view port = host.substr(name_end);
  const bool good_port = port.empty() || (port.front() == ':' && std::all_of(port.begin() + 1, port.end(), [](char c) {
                                            return c >= '0' && c <= '9';
                                          }));
  const std::string_view name = host.substr(0, name_end);
  return good_port && (equal_ignoring_case(name, "localhost") || name == "127.0.0.1" || name == "[::1]");
}

}  // namespace tidemark::http
