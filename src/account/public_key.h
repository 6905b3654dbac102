// One public key that verifies signatures, with the one algorithm it is for. For jwks.cc and keys.cc.
#pragma once

#include <openssl/evp.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "account/keys.h"
#include "core/result.h"

namespace tidemark::account {

inline constexpr size_t kP256Bytes = 32;
inline constexpr size_t kEd25519Bytes = 32;

struct PkeyFree {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

// Immutable: may verify on any thread.
struct PublicKey {
  Algorithm algorithm;  // never hs256
  std::optional<std::string> kid;
  std::unique_ptr<EVP_PKEY, PkeyFree> key;

  // From raw bytes, numbers big-endian, without kid. invalid_field with what is wrong as the text: the size of an RSA
  // key (keys.h), a wrong length, a point that is not on the curve, numbers that make no key.
  static Result<PublicKey> rsa(std::string_view modulus, std::string_view exponent);
  static Result<PublicKey> p256(std::string_view x, std::string_view y);
  static Result<PublicKey> ed25519(std::string_view x);

  // `signature` as in a JWS: RS256 and EdDSA as they are, ES256 as r and s of 32 bytes each (RFC 7518 section 3.4).
  bool verify(std::string_view signed_text, std::string_view signature) const;
};

}  // namespace tidemark::account
