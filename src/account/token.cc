#include "account/token.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "account/base64url.h"
#include "account/token_part.h"
#include "core/ascii.h"
#include "core/json.h"

namespace tidemark::account {
namespace {

using std::string_view;

Error refuse(std::string what) { return fail(Code::unauthorized, std::move(what)); }

struct Parts {
  string_view header;
  string_view payload;
  string_view signature;
  string_view signed_text;  // header and payload with their dot
};

std::optional<Parts> split(string_view token) {
  const size_t first = token.find('.');
  const size_t second = first == string_view::npos ? first : token.find('.', first + 1);
  if (second == string_view::npos || token.find('.', second + 1) != string_view::npos) {
    return std::nullopt;
  }
  return Parts{token.substr(0, first), token.substr(first + 1, second - first - 1), token.substr(second + 1),
               token.substr(0, second)};
}

// Whether the signature was made with the store's own key. An error if it is not good.
Result<bool> verify_header_and_signature(const Parts& parts, const KeySet& keys) {
  simdjson::dom::parser parser;
  const Result<TokenPart> header =
      TokenPart::read(parser, parts.header, "header", {"alg", "kid", "typ", "crit", "jku", "jwk", "x5u", "x5c"});
  if (!header) {
    return header.error();
  }
  for (const string_view name : {"crit", "jku", "jwk", "x5u", "x5c"}) {
    if (header->has(name)) {
      return refuse("the token's header contains " + std::string(name) + ", which is not accepted");
    }
  }
  const auto type = header->text("typ");
  const auto kid = header->text("kid");
  const auto alg = header->text("alg");
  for (const auto* field : {&type, &kid, &alg}) {
    if (!*field) {
      return field->error();
    }
  }
  if (*type && !equal_ignoring_case(**type, "JWT") && !equal_ignoring_case(**type, "at+jwt")) {
    return refuse("the token's typ is neither JWT nor at+jwt");
  }
  const std::optional<Algorithm> algorithm = *alg ? algorithm_named(**alg) : std::nullopt;
  if (!algorithm) {
    return refuse("the token's alg is not accepted");
  }
  const std::optional<std::string> signature = base64url_decode(parts.signature);
  if (!signature) {
    return refuse("the token's signature is not base64url");
  }
  switch (keys.verify(*algorithm, *kid, parts.signed_text, *signature)) {
    case KeySet::Verdict::unknown_key: return refuse("no key is known for this token");
    case KeySet::Verdict::wrong_signature: return refuse("the token's signature is wrong");
    case KeySet::Verdict::configured_key: return false;
    case KeySet::Verdict::session_key: return true;
  }
  return refuse("the token's signature is wrong");
}

Status check_times(const TokenPart& payload, const Expectations& expect, const Clock& clock, Claims& claims) {
  const auto expires = payload.time_ms("exp");
  const auto not_before = payload.time_ms("nbf");
  const auto issued = payload.time_ms("iat");
  for (const auto* time : {&expires, &not_before, &issued}) {
    if (!*time) {
      return time->error();
    }
  }
  if (!*expires) {
    return refuse("the token has no exp");
  }
  const int64_t now = clock.unix_ms();
  const int64_t leeway = std::chrono::milliseconds(expect.leeway).count();
  if (now - leeway >= **expires) {
    return refuse("the token has expired");
  }
  if (not_before->value_or(0) > now + leeway) {
    return refuse("the token is not valid yet (nbf)");
  }
  if (issued->value_or(0) > now + leeway) {
    return refuse("the token was issued in the future (iat)");
  }
  if (expect.lifetime_max && !claims.session_token) {
    if (!*issued) {
      return refuse("the token has no iat, which auth.token_ttl_max needs");
    }
    if (**expires - **issued > expect.lifetime_max->count()) {
      return refuse("the token lives longer than auth.token_ttl_max");
    }
  }
  claims.expires_at = **expires / 1000;
  claims.issued_at = issued->value_or(0) / 1000;
  return {};
}

Status check_issuer(const TokenPart& payload, const std::string& issuer) {
  const auto found = payload.text("iss");
  if (!found) {
    return found.error();
  }
  if (!issuer.empty() && *found != issuer) {
    return refuse("the token is of another issuer (iss)");
  }
  return {};
}

bool contains(const std::vector<string_view>& texts, string_view text) {
  return std::find(texts.begin(), texts.end(), text) != texts.end();
}

Status check_audience(const TokenPart& payload, const std::string& audience) {
  const auto found = payload.texts("aud", TokenPart::Single::allowed);
  if (!found) {
    return found.error();
  }
  if (!audience.empty() && !contains(*found, audience)) {
    return refuse("the token is for another audience (aud)");
  }
  return {};
}

Status read_identity(const TokenPart& payload, Claims& claims) {
  auto user = payload.id("sub");
  auto tenant = payload.id("tenant");
  auto session = payload.id("sid");
  auto token_id = payload.id("jti");
  auto device = payload.id("device_id");
  for (const auto* id : {&user, &tenant, &session, &token_id, &device}) {
    if (!*id) {
      return id->error();
    }
  }
  if (!*user) {
    return refuse("the token has no sub");
  }
  if (claims.session_token && !*session) {
    return refuse("a session token needs a sid");
  }
  const auto name = payload.text("name");
  const auto roles = payload.texts("roles", TokenPart::Single::refused);
  if (!name) {
    return name.error();
  }
  if (!roles) {
    return roles.error();
  }
  claims.user = UserId(std::move(**user));
  if (*tenant) {
    claims.tenant = TenantId(std::move(**tenant));
  }
  claims.session = SessionId(session->value_or(std::string()));
  claims.jti = token_id->value_or(std::string());
  claims.device = DeviceId(device->value_or(std::string()));
  claims.name = name->value_or(string_view());
  claims.admin = contains(*roles, "admin");
  claims.service = contains(*roles, "service");
  return {};
}

void add_if_said(JsonWriter& writer, string_view name, const std::string& text) {
  if (!text.empty()) {
    writer.field(name, text);
  }
}

}  // namespace

Result<Claims> verify_token(string_view token, const KeySet& keys, const Expectations& expect, const Clock& clock) {
  if (token.size() > expect.token_bytes_max) {
    return refuse("the token is longer than " + std::to_string(expect.token_bytes_max) + " bytes");
  }
  const std::optional<Parts> parts = split(token);
  if (!parts) {
    return refuse("the token is not three parts with dots between them");
  }
  const Result<bool> session_token = verify_header_and_signature(*parts, keys);
  if (!session_token) {
    return session_token.error();
  }
  simdjson::dom::parser parser;
  const Result<TokenPart> payload =
      TokenPart::read(parser, parts->payload, "payload",
                      {"sub", "exp", "nbf", "iat", "name", "tenant", "roles", "sid", "jti", "device_id", "iss", "aud"});
  if (!payload) {
    return payload.error();
  }
  Claims claims;
  claims.session_token = *session_token;
  for (const Status& checked :
       {check_times(*payload, expect, clock, claims), check_issuer(*payload, expect.issuer),
        check_audience(*payload, expect.audience), read_identity(*payload, claims)}) {
    if (!checked) {
      return checked.error();
    }
  }
  return claims;
}

std::string mint_token(const MintRequest& request, const Secret& hs256_secret, string_view kid) {
  TIDEMARK_CHECK(hs256_secret.reveal().size() >= kSecretBytesMin);
  std::string header;
  JsonWriter head(header);
  head.begin().field("alg", "HS256").field("typ", "JWT");
  if (!kid.empty()) {
    head.field("kid", kid);
  }
  head.end();

  std::string payload;
  JsonWriter body(payload);
  body.begin();
  add_if_said(body, "sub", request.user.str());
  add_if_said(body, "tenant", request.tenant.str());
  add_if_said(body, "sid", request.session.str());
  add_if_said(body, "device_id", request.device.str());
  add_if_said(body, "jti", request.jti);
  add_if_said(body, "name", request.name);
  add_if_said(body, "iss", request.issuer);
  add_if_said(body, "aud", request.audience);
  if (!request.roles.empty()) {
    std::string roles;
    for (const std::string& role : request.roles) {
      roles += roles.empty() ? '[' : ',';
      append_json_string(roles, role);
    }
    body.raw("roles", roles + "]");
  }
  if (request.issued_at != 0) {
    body.field("iat", request.issued_at);
  }
  body.field("exp", request.expires_at);
  body.end();

  const std::string signed_text = base64url_encode(header) + "." + base64url_encode(payload);
  return signed_text + "." + base64url_encode(hmac_sha256(hs256_secret, signed_text));
}

}  // namespace tidemark::account
