#include "account/keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <variant>

#include "account/jwks.h"

namespace tidemark::account {
namespace {

constexpr size_t kSha256Bytes = 32;

Status check_secret(std::string_view setting, const Secret& secret) {
  if (secret.reveal().size() >= kSecretBytesMin) {
    return {};
  }
  return invalid_field(setting, std::string(setting) + " has " + std::to_string(secret.reveal().size()) +
                                    " bytes; at least " + std::to_string(kSecretBytesMin) + " are needed");
}

bool verify_hmac(const Secret& key, std::string_view signed_text, std::string_view signature) {
  const std::string expected = hmac_sha256(key, signed_text);
  return signature.size() == expected.size() &&
         CRYPTO_memcmp(signature.data(), expected.data(), expected.size()) == 0;
}

}  // namespace

// A Secret is an HS256 key; everything else is public.
struct KeySet::Key {
  std::variant<Secret, PublicKey> key;
  bool session = false;

  Algorithm algorithm() const {
    const auto* public_key = std::get_if<PublicKey>(&key);
    return public_key != nullptr ? public_key->algorithm : Algorithm::hs256;
  }

  // Configured secrets have no kid.
  bool has_kid(std::string_view kid) const {
    const auto* public_key = std::get_if<PublicKey>(&key);
    return public_key != nullptr ? public_key->kid == kid : session && kid == kSessionKid;
  }

  bool verify(std::string_view signed_text, std::string_view signature) const {
    const auto* public_key = std::get_if<PublicKey>(&key);
    return public_key != nullptr ? public_key->verify(signed_text, signature)
                                 : verify_hmac(*std::get_if<Secret>(&key), signed_text, signature);
  }
};

std::optional<Algorithm> algorithm_named(std::string_view name) {
  if (name == "HS256") {
    return Algorithm::hs256;
  }
  if (name == "RS256") {
    return Algorithm::rs256;
  }
  if (name == "ES256") {
    return Algorithm::es256;
  }
  if (name == "EdDSA") {
    return Algorithm::eddsa;
  }
  return std::nullopt;
}

KeySet::KeySet() = default;
KeySet::~KeySet() = default;

Result<std::shared_ptr<const KeySet>> KeySet::make(const KeySources& sources) {
  if (sources.hs256_secret.empty() && sources.jwks.empty()) {
    return invalid_field("auth.hs256_secret", "neither auth.hs256_secret nor auth.jwks_file is set");
  }
  if (sources.hs256_secret.empty() && !sources.hs256_secret_previous.empty()) {
    return invalid_field("auth.hs256_secret_previous", "auth.hs256_secret_previous is set without auth.hs256_secret");
  }
  const std::shared_ptr<KeySet> set(new KeySet);
  const struct {
    std::string_view setting;
    const Secret& secret;
    bool session;
  } secrets[] = {{"auth.hs256_secret", sources.hs256_secret, false},
                 {"auth.hs256_secret_previous", sources.hs256_secret_previous, false},
                 {"the store's session key", sources.session_key, true}};
  for (const auto& [setting, secret, session] : secrets) {
    if (secret.empty()) {
      continue;
    }
    if (const Status checked = check_secret(setting, secret); !checked) {
      return checked.error();
    }
    set->keys_.push_back(Key{secret, session});
  }
  set->session_key_ = sources.session_key;
  if (!sources.jwks.empty()) {
    Result<std::vector<PublicKey>> parsed = parse_jwks(sources.jwks);
    if (!parsed) {
      return parsed.error();
    }
    for (PublicKey& key : *parsed) {
      set->keys_.push_back(Key{std::move(key), false});
    }
  }
  return std::shared_ptr<const KeySet>(set);
}

KeySet::Verdict KeySet::verify(Algorithm algorithm, std::optional<std::string_view> kid, std::string_view signed_text,
                               std::string_view signature) const {
  Verdict verdict = Verdict::unknown_key;
  for (const Key& key : keys_) {
    const bool asked = key.algorithm() == algorithm && (kid ? key.has_kid(*kid) : !key.session);
    if (!asked) {
      continue;
    }
    if (key.verify(signed_text, signature)) {
      return key.session ? Verdict::session_key : Verdict::configured_key;
    }
    verdict = Verdict::wrong_signature;
  }
  return verdict;
}

std::string hmac_sha256(const Secret& key, std::string_view text) {
  std::string out(kSha256Bytes, '\0');
  unsigned int size = 0;
  const unsigned char* made = HMAC(EVP_sha256(), key.reveal().data(), static_cast<int>(key.reveal().size()),
                                   reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                                   reinterpret_cast<unsigned char*>(out.data()), &size);
  TIDEMARK_CHECK(made != nullptr && size == out.size());
  return out;
}

}  // namespace tidemark::account
