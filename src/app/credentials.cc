#include "app/credentials.h"

#include <fstream>
#include <sstream>

#include "core/log.h"

namespace tidemark::app {
namespace {

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) {
    return fail(Code::unavailable, "cannot read " + path);
  }
  return text.str();
}

}  // namespace

Result<std::shared_ptr<const account::KeySet>> read_keys(const Config& config, const Secret& session_key) {
  account::KeySources sources;
  sources.hs256_secret = config.auth.hs256_secret;
  sources.hs256_secret_previous = config.auth.hs256_secret_previous;
  sources.session_key = session_key;
  if (!config.auth.jwks_file.empty()) {
    auto jwks = read_file(config.auth.jwks_file);
    if (!jwks.ok()) {
      return jwks.error();
    }
    if (jwks->empty()) {
      // As if there were none, the set would be gone without a word: a file that is just being written looks so.
      return invalid_field("auth.jwks_file", config.auth.jwks_file + " is empty");
    }
    sources.jwks = std::move(*jwks);
  }
  return account::KeySet::make(sources);
}

Result<std::shared_ptr<const TlsContext>> read_certificate(const Config& config) {
  if (config.http.tls_cert.empty()) {
    return std::shared_ptr<const TlsContext>();
  }
  auto tls = TlsContext::make(config.http.tls_cert, config.http.tls_key);
  if (!tls.ok()) {
    return Error{tls.error().code, "http.tls: " + tls.error().text, "http.tls.cert", 0};
  }
  return tls;
}

void log_certificate(const TlsContext& tls, const Clock& clock) {
  const int64_t left_s = tls.expires_at() - clock.unix_ms() / 1000;
  log(left_s > 0 ? LogLevel::info : LogLevel::warn, left_s > 0 ? "tls.certificate" : "tls.certificate_expired",
      {{"subject", tls.subject()}, {"valid_for_hours", left_s / 3600}});
}

}  // namespace tidemark::app
