#include "account/public_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

namespace tidemark::account {
namespace {

constexpr int kRsaExponentBitsMax = 64;  // each bit costs every verification a squaring

template <auto free>
struct Free {
  template <class T>
  void operator()(T* object) const {
    free(object);
  }
};
using BignumPtr = std::unique_ptr<BIGNUM, Free<BN_free>>;
using ParamBuilderPtr = std::unique_ptr<OSSL_PARAM_BLD, Free<OSSL_PARAM_BLD_free>>;
using ParamsPtr = std::unique_ptr<OSSL_PARAM, Free<OSSL_PARAM_free>>;
using PkeyPtr = std::unique_ptr<EVP_PKEY, PkeyFree>;
using PkeyContextPtr = std::unique_ptr<EVP_PKEY_CTX, Free<EVP_PKEY_CTX_free>>;
using DigestContextPtr = std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>>;
using EcdsaSigPtr = std::unique_ptr<ECDSA_SIG, Free<ECDSA_SIG_free>>;

// What OpenSSL leaves in the thread's error queue would be taken for an error of the next TLS call there.
struct ErrorMark {
  ErrorMark() { ERR_set_mark(); }
  ~ErrorMark() { ERR_pop_to_mark(); }
};

Error refuse(std::string what) { return fail(Code::invalid_field, std::move(what)); }

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

BignumPtr to_bignum(std::string_view big_endian) {
  return BignumPtr(BN_bin2bn(bytes_of(big_endian), static_cast<int>(big_endian.size()), nullptr));
}

Result<PublicKey> make_key(Algorithm algorithm, const char* type, OSSL_PARAM_BLD* builder) {
  const ParamsPtr params(OSSL_PARAM_BLD_to_param(builder));
  const PkeyContextPtr maker(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* made = nullptr;
  if (!params || !maker || EVP_PKEY_fromdata_init(maker.get()) != 1 ||
      EVP_PKEY_fromdata(maker.get(), &made, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    return refuse("its numbers make no public key");
  }
  PkeyPtr key(made);
  const PkeyContextPtr checker(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  if (!checker || EVP_PKEY_public_check(checker.get()) != 1) {
    return refuse("its numbers make no valid public key");
  }
  return PublicKey{algorithm, std::nullopt, std::move(key)};
}

Result<PublicKey> make_octet_key(Algorithm algorithm, const char* type, const char* group, std::string_view octets) {
  const ParamBuilderPtr builder(OSSL_PARAM_BLD_new());
  if (!builder ||
      (group != nullptr && OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, group, 0) != 1) ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, octets.data(), octets.size()) != 1) {
    return refuse("there is no memory for it");
  }
  return make_key(algorithm, type, builder.get());
}

// r and s, 32 bytes each, as the DER that OpenSSL verifies; empty if they are not that.
std::string ecdsa_to_der(std::string_view raw) {
  if (raw.size() != 2 * kP256Bytes) {
    return {};
  }
  const EcdsaSigPtr sig(ECDSA_SIG_new());
  BignumPtr r = to_bignum(raw.substr(0, kP256Bytes));
  BignumPtr s = to_bignum(raw.substr(kP256Bytes));
  if (!sig || !r || !s || ECDSA_SIG_set0(sig.get(), r.get(), s.get()) != 1) {
    return {};
  }
  static_cast<void>(r.release());  // sig owns them now
  static_cast<void>(s.release());
  const int size = i2d_ECDSA_SIG(sig.get(), nullptr);
  if (size <= 0) {
    return {};
  }
  std::string der(static_cast<size_t>(size), '\0');
  auto* out = reinterpret_cast<unsigned char*>(der.data());
  return i2d_ECDSA_SIG(sig.get(), &out) == size ? der : std::string();
}

}  // namespace

Result<PublicKey> PublicKey::rsa(std::string_view modulus, std::string_view exponent) {
  const ErrorMark mark;
  const BignumPtr n = to_bignum(modulus);
  const BignumPtr e = to_bignum(exponent);
  const ParamBuilderPtr builder(OSSL_PARAM_BLD_new());
  if (!n || !e || !builder) {
    return refuse("there is no memory for it");
  }
  // Before the key is made: checking a modulus of a megabit would take minutes.
  const int bits = BN_num_bits(n.get());
  if (bits < kRsaBitsMin || bits > kRsaBitsMax) {
    return refuse("it has " + std::to_string(bits) + " bits; an RSA key must have " + std::to_string(kRsaBitsMin) +
                  " to " + std::to_string(kRsaBitsMax));
  }
  if (BN_is_one(e.get()) || BN_num_bits(e.get()) > kRsaExponentBitsMax) {
    return refuse("its e must be more than 1 and have at most " + std::to_string(kRsaExponentBitsMax) + " bits");
  }
  if (OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
    return refuse("there is no memory for it");
  }
  return make_key(Algorithm::rs256, "RSA", builder.get());
}

Result<PublicKey> PublicKey::p256(std::string_view x, std::string_view y) {
  const ErrorMark mark;
  if (x.size() != kP256Bytes || y.size() != kP256Bytes) {
    return refuse("its x and y must have " + std::to_string(kP256Bytes) + " bytes each");
  }
  // An uncompressed point (SEC 1 section 2.3.3).
  return make_octet_key(Algorithm::es256, "EC", "P-256", "\x04" + std::string(x) + std::string(y));
}

Result<PublicKey> PublicKey::ed25519(std::string_view x) {
  const ErrorMark mark;
  if (x.size() != kEd25519Bytes) {
    return refuse("its x must have " + std::to_string(kEd25519Bytes) + " bytes");
  }
  return make_octet_key(Algorithm::eddsa, "ED25519", nullptr, x);
}

bool PublicKey::verify(std::string_view signed_text, std::string_view signature) const {
  const ErrorMark mark;
  std::string der;
  if (algorithm == Algorithm::es256) {
    der = ecdsa_to_der(signature);
    signature = der;
  }
  // Ed25519 hashes by itself and takes no digest.
  const EVP_MD* digest = algorithm == Algorithm::eddsa ? nullptr : EVP_sha256();
  const DigestContextPtr context(EVP_MD_CTX_new());
  return context && !signature.empty() &&
         EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key.get()) == 1 &&
         EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(signed_text),
                          signed_text.size()) == 1;
}

}  // namespace tidemark::account
