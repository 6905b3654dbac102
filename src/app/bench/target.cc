#include "app/bench/target.h"

#include <netdb.h>

#include <charconv>
#include <cstring>
#include <memory>

#include "account/keys.h"
#include "account/token.h"
#include "core/clock.h"
#include "core/random.h"

namespace tidemark::app {
namespace {

constexpr int64_t kTokenSeconds = 24 * 60 * 60;

Error bad_url(std::string_view url, std::string_view why) {
  return fail(Code::invalid_field, "--url " + std::string(url) + ": " + std::string(why) +
                                       "; expected ws://HOST:PORT or wss://HOST:PORT, for example ws://127.0.0.1:8080");
}

// Splits "HOST", "HOST:PORT", "[IPV6]" or "[IPV6]:PORT".
bool split_authority(std::string_view authority, Target& target) {
  std::string_view rest;
  if (authority.starts_with('[')) {
    const size_t end = authority.find(']');
    if (end == std::string_view::npos) {
      return false;
    }
    target.host = authority.substr(1, end - 1);
    rest = authority.substr(end + 1);
  } else {
    const size_t end = std::min(authority.find(':'), authority.size());
    target.host = authority.substr(0, end);
    rest = authority.substr(end);
  }
  if (target.host.empty()) {
    return false;
  }
  if (rest.empty()) {
    return true;
  }
  const char* const end = rest.data() + rest.size();
  const auto parsed = std::from_chars(rest.data() + 1, end, target.port);
  return rest.starts_with(':') && parsed.ec == std::errc() && parsed.ptr == end && target.port != 0;
}

Status look_up(Target& target) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  const int error = getaddrinfo(target.host.c_str(), std::to_string(target.port).c_str(), &hints, &list);
  if (error != 0) {
    return fail(Code::unavailable, "cannot look up " + target.host + ": " + gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(list, &freeaddrinfo);
  std::memcpy(&target.address, list->ai_addr, list->ai_addrlen);
  target.address_size = list->ai_addrlen;
  return {};
}

}  // namespace

Result<Target> parse_target(std::string_view url) {
  const size_t scheme_end = std::min(url.find("://"), url.size());
  const std::string_view scheme = url.substr(0, scheme_end);
  Target target;
  target.secure = scheme == "wss" || scheme == "https";
  target.port = target.secure ? 443 : 80;
  if (scheme_end == url.size() || (!target.secure && scheme != "ws" && scheme != "http")) {
    return bad_url(url, "it begins neither with ws:// nor with wss://");
  }
  const std::string_view rest = url.substr(scheme_end + 3);
  if (rest.find_first_of("?#@") != std::string_view::npos) {
    return bad_url(url, "query, fragment and user are not used");
  }
  const size_t path_at = std::min(rest.find('/'), rest.size());
  target.authority = rest.substr(0, path_at);
  const std::string_view path = rest.substr(path_at);
  target.path = path.size() > 1 ? path : "/api/v1/ws/connect";
  if (!split_authority(target.authority, target)) {
    return bad_url(url, "no host, or a wrong port");
  }
  if (const Status found = look_up(target); !found) {
    return found.error();
  }
  return target;
}

Result<Accounts> Accounts::make(Secret hs256_secret, std::string tenant) {
  if (hs256_secret.reveal().size() < account::kSecretBytesMin) {
    return fail(Code::invalid_field,
                hs256_secret.empty()
                    ? "no secret to sign tokens with: give the server's auth.hs256_secret with --secret-file, or in "
                      "the environment as TIDEMARK_AUTH_HS256_SECRET"
                    : "the secret has fewer than " + std::to_string(account::kSecretBytesMin) + " bytes");
  }
  static constexpr char kHex[] = "0123456789abcdef";
  Accounts accounts;
  accounts.secret_ = std::move(hs256_secret);
  accounts.tenant_ = std::move(tenant);
  accounts.prefix_ = "bench-";
  for (uint64_t left = SystemRandom().next() >> 32 | uint64_t{1} << 32; left > 1; left >>= 4) {
    accounts.prefix_ += kHex[left & 15];
  }
  accounts.prefix_ += '-';
  return accounts;
}

std::string Accounts::user(std::string_view role, size_t number) const {
  return prefix_ + std::string(role) + std::to_string(number);
}

std::string Accounts::token(const std::string& user) const {
  account::MintRequest request;
  request.user = UserId(user);
  request.tenant = TenantId(tenant_);
  request.issued_at = SystemClock().unix_ms() / 1000;
  request.expires_at = request.issued_at + kTokenSeconds;
  return account::mint_token(request, secret_);
}

}  // namespace tidemark::app
