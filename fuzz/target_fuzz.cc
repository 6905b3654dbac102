// Request targets: paths and queries of REST and of the upgrade, and the Host check of development mode.
#include <string>

#include "command_table.h"
#include "core/ids.h"
#include "fuzz.h"
#include "gateway/upgrade_target.h"
#include "http/rest.h"
#include "http/target.h"

namespace tidemark::http {
namespace {

std::string percent_encode(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    out += '%';
    out += kHex[static_cast<unsigned char>(c) >> 4];
    out += kHex[c & 15];
  }
  return out;
}

void check_decoding(std::string_view text) {
  for (const bool query : {false, true}) {
    if (const auto decoded = command::percent_decode(text, query)) {
      TIDEMARK_CHECK(decoded->size() <= text.size());
      TIDEMARK_CHECK(command::percent_decode(percent_encode(*decoded), query) == decoded);
    }
  }
}

void check_host(std::string_view host) {
  if (!is_loopback_host(host)) {
    return;
  }
  TIDEMARK_CHECK(host.find_first_of("/@?#\\ \r\n") == std::string_view::npos);
  TIDEMARK_CHECK(host.starts_with("127.0.0.1") || host.starts_with("[::1]") || (host[0] | 0x20) == 'l');
}

void check_upgrade(std::string_view text) {
  const auto target = gateway::parse_upgrade_target(text);
  if (!target.ok()) {
    return;
  }
  TIDEMARK_CHECK(target->device.empty() || is_valid_id(target->device));
  TIDEMARK_CHECK(target->conversations.size() <= 1000);
  for (const std::string& conversation : target->conversations) {
    TIDEMARK_CHECK(is_valid_id(conversation));
  }
}

}  // namespace

FUZZ_TARGET(target, bytes) {
  const Target target = split_target(bytes);
  TIDEMARK_CHECK(!target.path.empty());
  TIDEMARK_CHECK(target.path.find_first_of("?#") == std::string_view::npos);
  TIDEMARK_CHECK(target.authority.find_first_of("/?#") == std::string_view::npos);
  check_decoding(bytes);
  check_host(bytes);
  check_host(target.authority);
  check_upgrade(bytes);
  static_cast<void>(query_parameters(target.query));
  const std::string_view path = target.path.substr(target.path.starts_with(Rest::kPrefix) ? Rest::kPrefix.size() : 0);
  for (const std::string_view method : {"GET", "POST", "PATCH", "DELETE", "BREW"}) {
    const auto match = fuzz::command_table().by_path(method, path);
    TIDEMARK_CHECK(match.row == nullptr || match.row->method == method);
  }
}

}  // namespace tidemark::http
