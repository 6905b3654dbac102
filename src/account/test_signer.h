// For tests: private keys, their JWKs, and tokens with any header and payload.
#pragma once

#include <gtest/gtest.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <memory>
#include <string>
#include <string_view>

#include "account/base64url.h"
#include "account/keys.h"

namespace tidemark::account {

// A private key made for the test. Life: static in the test, because an RSA key takes long to make.
class TestSigner {
 public:
  static TestSigner rsa(size_t bits = 2048) { return TestSigner(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", bits)); }
  static TestSigner p256() { return TestSigner(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")); }
  static TestSigner ed25519() { return TestSigner(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")); }

  // As a JWS has it: for P-256 r and s, not DER.
  std::string sign(std::string_view text) const {
    const bool hashes_itself = EVP_PKEY_is_a(key_.get(), "ED25519") == 1;
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    size_t size = 512;
    std::string signature(size, '\0');
    EXPECT_EQ(1, EVP_DigestSignInit(context, nullptr, hashes_itself ? nullptr : EVP_sha256(), nullptr, key_.get()));
    EXPECT_EQ(1, EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size,
                                reinterpret_cast<const unsigned char*>(text.data()), text.size()));
    EVP_MD_CTX_free(context);
    signature.resize(size);
    return EVP_PKEY_is_a(key_.get(), "EC") == 1 ? der_to_raw(signature) : signature;
  }

  // The public key as a JWK; `more` are further members, e.g. R"("kid":"a")".
  std::string jwk(const std::string& more = {}) const {
    std::string members;
    if (EVP_PKEY_is_a(key_.get(), "RSA") == 1) {
      members = R"("kty":"RSA","n":")" + number(OSSL_PKEY_PARAM_RSA_N) + R"(","e":")" + number(OSSL_PKEY_PARAM_RSA_E);
    } else if (EVP_PKEY_is_a(key_.get(), "EC") == 1) {
      members = R"("kty":"EC","crv":"P-256","x":")" + number(OSSL_PKEY_PARAM_EC_PUB_X, 32) + R"(","y":")" +
                number(OSSL_PKEY_PARAM_EC_PUB_Y, 32);
    } else {
      unsigned char raw[32];
      size_t size = sizeof raw;
      EXPECT_EQ(1, EVP_PKEY_get_raw_public_key(key_.get(), raw, &size));
      members = R"("kty":"OKP","crv":"Ed25519","x":")" +
                base64url_encode({reinterpret_cast<const char*>(raw), size});
    }
    return "{" + members + "\"" + (more.empty() ? "" : "," + more) + "}";
  }

  std::string public_pem() const {
    BIO* bio = BIO_new(BIO_s_mem());
    EXPECT_EQ(1, PEM_write_bio_PUBKEY(bio, key_.get()));
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    std::string pem(data, static_cast<size_t>(size));
    BIO_free(bio);
    return pem;
  }

  // A number of the public key as base64url, padded with zeros in front to `bytes`.
  std::string number(const char* name, int bytes = 0) const {
    BIGNUM* bignum = nullptr;
    EXPECT_EQ(1, EVP_PKEY_get_bn_param(key_.get(), name, &bignum));
    std::string raw(static_cast<size_t>(std::max(bytes, BN_num_bytes(bignum))), '\0');
    BN_bn2binpad(bignum, reinterpret_cast<unsigned char*>(raw.data()), static_cast<int>(raw.size()));
    BN_free(bignum);
    return base64url_encode(raw);
  }

 private:
  struct Free {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  };

  explicit TestSigner(EVP_PKEY* key) : key_(key) { EXPECT_NE(nullptr, key); }

  static std::string der_to_raw(const std::string& der) {
    const auto* in = reinterpret_cast<const unsigned char*>(der.data());
    ECDSA_SIG* sig = d2i_ECDSA_SIG(nullptr, &in, static_cast<long>(der.size()));
    std::string raw(64, '\0');
    auto* out = reinterpret_cast<unsigned char*>(raw.data());
    BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + 32, 32);
    ECDSA_SIG_free(sig);
    return raw;
  }

  std::unique_ptr<EVP_PKEY, Free> key_;
};

inline std::string signed_text_of(std::string_view header, std::string_view payload) {
  return base64url_encode(header) + "." + base64url_encode(payload);
}

inline std::string token_with(const Secret& secret, std::string_view header, std::string_view payload) {
  const std::string text = signed_text_of(header, payload);
  return text + "." + base64url_encode(hmac_sha256(secret, text));
}

inline std::string token_with(const TestSigner& signer, std::string_view header, std::string_view payload) {
  const std::string text = signed_text_of(header, payload);
  return text + "." + base64url_encode(signer.sign(text));
}

inline std::string jwks_of(std::initializer_list<std::string> keys) {
  std::string out = R"({"keys":[)";
  for (const std::string& key : keys) {
    out += (out.back() == '[' ? "" : ",") + key;
  }
  return out + "]}";
}

}  // namespace tidemark::account
