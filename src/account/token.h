// JSON Web Tokens: verifying what a client shows, minting our own (RFC 7519, hardened as RFC 8725 asks).
//
// Pure functions: no state, no sockets, time is an argument. May be used from any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "account/keys.h"
#include "core/clock.h"
#include "core/ids.h"
#include "core/result.h"
#include "core/secret.h"

namespace tidemark::account {

// What a verified token says.
struct Claims {
  UserId user;                  // sub
  TenantId tenant{"default"};   // tenant
  std::string name;             // name, may be empty; any UTF-8
  bool admin = false;           // "admin" is among the roles
  bool service = false;         // "service" is among the roles
  SessionId session;            // sid; empty: the token belongs to no session
  std::string jti;              // may be empty
  DeviceId device;              // device_id; empty: the token is not for one device
  int64_t expires_at = 0;       // Unix seconds, rounded down
  int64_t issued_at = 0;        // Unix seconds, rounded down; 0: the token does not say
  bool session_token = false;   // signed with the store's own key; then `session` is never empty
};

struct Expectations {
  std::string issuer;                // `iss` must be this; empty: not checked
  std::string audience;              // must be `aud` or one of it; empty: not checked
  std::chrono::seconds leeway{60};   // for the clocks of those who make tokens
  // From iat to exp; then both are needed. Session tokens have a bound of their own. None: not checked.
  std::optional<std::chrono::milliseconds> lifetime_max;
  size_t token_bytes_max = 8192;
};

// The claims of a token that is good now. Otherwise unauthorized, with a text that may be shown and logged: it tells
// what is wrong and contains nothing of the token.
//
// Time: good from nbf (and iat) - leeway, that moment included, until exp + leeway, that moment excluded.
// Refused: headers that bring a key or an address of one (jku, jwk, x5u, x5c) or that must be understood (crit); known
// header fields and claims that appear twice or have a wrong type; a sub, tenant, sid or jti that is no valid id
// (core/ids.h); times before 1970 or after the year 9999 (most likely milliseconds); a session token without sid; with
// `lifetime_max` a longer life than that, or one that cannot be known because there is no iat.
// Issuer and audience are checked in session tokens too. Unknown roles, header fields and claims are passed over.
// Does not know about revocation and closed sessions.
Result<Claims> verify_token(std::string_view token, const KeySet& keys, const Expectations& expect,
                            const Clock& clock);

// Empty texts and zero issued_at are left out of the token. Every text must be UTF-8; ids must be valid ids, else the
// token will not verify.
struct MintRequest {
  UserId user;
  TenantId tenant;
  std::vector<std::string> roles;
  SessionId session;
  DeviceId device;  // claim "device_id"
  std::string jti;
  std::string name;
  std::string issuer;
  std::string audience;
  int64_t issued_at = 0;   // Unix seconds
  int64_t expires_at = 0;  // Unix seconds
};

// An HS256 token. The secret must have kSecretBytesMin bytes (KeySet::make refuses a shorter one; here it is a broken
// invariant): check it before minting with what an operator typed.
// A session token is mint_token(request, keys.session_key(), kSessionKid).
std::string mint_token(const MintRequest& request, const Secret& hs256_secret, std::string_view kid = {});

}  // namespace tidemark::account
