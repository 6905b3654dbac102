// Tokens: as text, and as header and claims with a good signature (so that more than the signature check is tried).
#include <string>

#include "account/base64url.h"
#include "account/token.h"
#include "fuzz.h"

namespace tidemark::account {
namespace {

constexpr std::string_view kSecret = "a secret of at least thirty-two bytes";

const KeySet& keys() {
  static const auto kMade = [] {
    KeySources sources;
    sources.hs256_secret = Secret(std::string(kSecret));
    sources.session_key = Secret("another one of at least thirty-two bytes");
    sources.jwks =
        R"({"keys":[{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})";
    auto made = KeySet::make(sources);
    TIDEMARK_CHECK(made.ok());
    return std::move(*made);
  }();
  return *kMade;
}

void check(std::string_view token) {
  static const ManualClock kClock;
  static const Expectations kExpect;
  const auto claims = verify_token(token, keys(), kExpect, kClock);
  if (!claims.ok()) {
    TIDEMARK_CHECK(claims.error().code == Code::unauthorized);
    return;
  }
  TIDEMARK_CHECK(token.size() <= kExpect.token_bytes_max);
  TIDEMARK_CHECK(is_valid_id(claims->user.str()) && is_valid_id(claims->tenant.str()));
  TIDEMARK_CHECK(claims->expires_at + 60 >= kClock.unix_ms() / 1000);
  TIDEMARK_CHECK(!claims->session_token || !claims->session.empty());
}

// "HEADER\nCLAIMS" signed with the configured secret.
std::string signed_token(std::string_view bytes) {
  const size_t end = std::min(bytes.find('\n'), bytes.size());
  std::string text =
      base64url_encode(bytes.substr(0, end)) + "." + base64url_encode(bytes.substr(std::min(end + 1, bytes.size())));
  return text + "." + base64url_encode(hmac_sha256(Secret(std::string(kSecret)), text));
}

}  // namespace

FUZZ_TARGET(token, bytes) {
  check(bytes);
  check(signed_token(bytes));
  if (const auto decoded = base64url_decode(bytes)) {
    TIDEMARK_CHECK(base64url_encode(*decoded) == bytes);
  }
}

}  // namespace tidemark::account
