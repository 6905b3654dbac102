// The keys that tokens are verified with, and the algorithm that belongs to each.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/secret.h"

namespace tidemark::account {

enum class Algorithm : uint8_t { hs256, rs256, es256, eddsa };

// The algorithm spelled exactly so in a JWS header (RFC 7518 section 3.1, RFC 8037): nothing for "none" and all others.
std::optional<Algorithm> algorithm_named(std::string_view name);

// Key id of the store's own key. No configured key may have it.
inline constexpr std::string_view kSessionKid = "tidemark-session";

inline constexpr size_t kSecretBytesMin = 32;  // RFC 7518 section 3.2: as long as the hash
inline constexpr int kRsaBitsMin = 2048;
inline constexpr int kRsaBitsMax = 8192;          // a verification of a larger one takes too long
inline constexpr size_t kJwksBytesMax = 256 * 1024;
inline constexpr size_t kJwksKeysMax = 32;        // a token without kid may have to try them all
inline constexpr size_t kKidBytesMax = 256;

struct KeySources {
  Secret hs256_secret;           // auth.hs256_secret, empty: none
  Secret hs256_secret_previous;  // still accepted while secrets are rotated; empty: none
  std::string jwks;              // the text of auth.jwks_file (RFC 7517 section 5), empty: none
  Secret session_key;            // the store's own key, random bytes; empty: session tokens are refused
};

// A fixed set of verification keys.
//
// Life: made at start and again at each reload; immutable, so it is shared and used from any thread without a lock.
// Promises (RFC 8725 section 3.1): a key has exactly one algorithm and never verifies under another; a key id is only
// looked up among these keys, never read as a path, an address or a query.
class KeySet {
 public:
  // Refused with invalid_field, whose text names the setting or the key and what is wrong with it:
  // - neither hs256_secret nor jwks, or a previous secret without a current one;
  // - a secret or session key of less than 32 bytes;
  // - a JWKS that is not an object with an array "keys", has too many keys, or none to verify with;
  // - in the JWKS: a symmetric key (`oct`), private key material, an unknown `kty`, curve or `alg`, an RSA key outside
  //   2048 to 8192 bits, numbers that make no key, a repeated or reserved `kid`.
  // Keys that say they are for something else (`use` other than "sig", `key_ops` without "verify") are passed over.
  static Result<std::shared_ptr<const KeySet>> make(const KeySources& sources);

  ~KeySet();
  KeySet(const KeySet&) = delete;
  KeySet& operator=(const KeySet&) = delete;

  enum class Verdict : uint8_t {
    unknown_key,      // no key with this kid and algorithm (or, without kid, with this algorithm)
    wrong_signature,  // none of the keys that could have made it did
    configured_key,   // good, by a key of the configuration
    session_key,      // good, by the store's own key
  };

  // Verifies a JWS signature (raw bytes, as RFC 7515 and 7518 lay them out). With a kid that key alone is asked;
  // without one every configured key of the algorithm, but never the store's own.
  Verdict verify(Algorithm algorithm, std::optional<std::string_view> kid, std::string_view signed_text,
                 std::string_view signature) const;

  // The key that session tokens are signed with, under kSessionKid. Empty if the set was made without one.
  const Secret& session_key() const { return session_key_; }

 private:
  struct Key;
  KeySet();

  std::vector<Key> keys_;
  Secret session_key_;
};

// HMAC-SHA-256 of `text`, 32 raw bytes: the signature of HS256.
std::string hmac_sha256(const Secret& key, std::string_view text);

}  // namespace tidemark::account
