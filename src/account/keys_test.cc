#include "account/keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>

#include <thread>

#include "account/base64url.h"
#include "account/test_signer.h"

namespace tidemark::account {
namespace {

using ::testing::HasSubstr;
using Verdict = KeySet::Verdict;

const std::string kSecret(32, 's');
const std::string kPrevious(32, 'p');
const std::string kSession(32, 'k');

const TestSigner& rsa_key() {
  static const TestSigner key = TestSigner::rsa();
  return key;
}
const TestSigner& p256_key() {
  static const TestSigner key = TestSigner::p256();
  return key;
}
const TestSigner& ed25519_key() {
  static const TestSigner key = TestSigner::ed25519();
  return key;
}

Result<std::shared_ptr<const KeySet>> from_jwks(std::initializer_list<std::string> keys) {
  return KeySet::make({.jwks = jwks_of(keys)});
}

void expect_refused(const KeySources& sources, std::string_view what) {
  const auto made = KeySet::make(sources);
  ASSERT_FALSE(made.ok()) << what;
  EXPECT_EQ(made.error().code, Code::invalid_field);
  EXPECT_THAT(made.error().text, HasSubstr(std::string(what)));
  EXPECT_EQ(ERR_peek_error(), 0UL);
}
void expect_refused(std::initializer_list<std::string> jwks, std::string_view what) {
  expect_refused(KeySources{.jwks = jwks_of(jwks)}, what);
}

TEST(KeySet, NeedsASecretOrAKey) {
  expect_refused(KeySources{}, "neither auth.hs256_secret nor auth.jwks_file");
  expect_refused(KeySources{.session_key = Secret(kSession)}, "neither");
  expect_refused(KeySources{.hs256_secret_previous = Secret(kPrevious), .jwks = jwks_of({ed25519_key().jwk()})},
                 "without auth.hs256_secret");
}

TEST(KeySet, RefusesASecretOneByteTooShort) {
  const Secret good(kSecret);
  const Secret brief(std::string(31, 'x'));
  expect_refused(KeySources{.hs256_secret = brief}, "auth.hs256_secret has 31 bytes; at least 32");
  expect_refused(KeySources{.hs256_secret = good, .hs256_secret_previous = brief}, "auth.hs256_secret_previous has 31");
  expect_refused(KeySources{.hs256_secret = good, .session_key = brief}, "session key has 31");
  EXPECT_TRUE(KeySet::make({.hs256_secret = good}).ok());
}

TEST(KeySet, TellsNoSecretInAnError) {
  const auto made = KeySet::make({.hs256_secret = Secret("hunter2")});
  ASSERT_FALSE(made.ok());
  EXPECT_THAT(made.error().text, ::testing::Not(HasSubstr("hunter2")));
}

TEST(KeySet, AcceptsTwoSecretsDuringRotation) {
  const auto keys = KeySet::make({.hs256_secret = Secret(kSecret), .hs256_secret_previous = Secret(kPrevious)}).value();
  const auto verify = [&](const std::string& secret) {
    return keys->verify(Algorithm::hs256, std::nullopt, "text", hmac_sha256(Secret(secret), "text"));
  };
  EXPECT_EQ(verify(kSecret), Verdict::configured_key);
  EXPECT_EQ(verify(kPrevious), Verdict::configured_key);
  EXPECT_EQ(verify(std::string(32, 'o')), Verdict::wrong_signature);
}

TEST(KeySet, AsksTheStoresOwnKeyOnlyUnderItsKid) {
  const auto keys = KeySet::make({.hs256_secret = Secret(kSecret), .session_key = Secret(kSession)}).value();
  const std::string by_store = hmac_sha256(keys->session_key(), "text");
  const std::string by_secret = hmac_sha256(Secret(kSecret), "text");
  EXPECT_EQ(keys->verify(Algorithm::hs256, kSessionKid, "text", by_store), Verdict::session_key);
  EXPECT_EQ(keys->verify(Algorithm::hs256, kSessionKid, "text", by_secret), Verdict::wrong_signature);
  EXPECT_EQ(keys->verify(Algorithm::hs256, std::nullopt, "text", by_store), Verdict::wrong_signature);
  EXPECT_EQ(keys->verify(Algorithm::rs256, kSessionKid, "text", by_store), Verdict::unknown_key);

  const auto without = KeySet::make({.hs256_secret = Secret(kSecret)}).value();
  EXPECT_EQ(without->verify(Algorithm::hs256, kSessionKid, "text", by_store), Verdict::unknown_key);
  EXPECT_TRUE(without->session_key().empty());
}

TEST(KeySet, RefusesASignatureOfAnotherLength) {
  const auto keys = KeySet::make({.hs256_secret = Secret(kSecret)}).value();
  const std::string good = hmac_sha256(Secret(kSecret), "text");
  for (const std::string& bad : {std::string(), good.substr(0, 31), good + '\0', good + good}) {
    EXPECT_EQ(keys->verify(Algorithm::hs256, std::nullopt, "text", bad), Verdict::wrong_signature);
  }
}

TEST(KeySet, VerifiesWithEachKindOfPublicKey) {
  const std::tuple<const TestSigner&, Algorithm, std::string> kinds[] = {{rsa_key(), Algorithm::rs256, "RS256"},
                                                                         {p256_key(), Algorithm::es256, "ES256"},
                                                                         {ed25519_key(), Algorithm::eddsa, "EdDSA"}};
  for (const auto& [signer, algorithm, name] : kinds) {
    const std::string more = R"("kid":"a","use":"sig","key_ops":["verify"],"alg":")" + name + "\"";
    const auto keys = from_jwks({signer.jwk(more)}).value();
    std::string signature = signer.sign("text");
    EXPECT_EQ(keys->verify(algorithm, "a", "text", signature), Verdict::configured_key) << name;
    EXPECT_EQ(keys->verify(algorithm, std::nullopt, "text", signature), Verdict::configured_key) << name;
    EXPECT_EQ(keys->verify(algorithm, "b", "text", signature), Verdict::unknown_key) << name;
    EXPECT_EQ(keys->verify(algorithm, "a", "text.", signature), Verdict::wrong_signature) << name;
    EXPECT_EQ(keys->verify(algorithm, "a", "text", {}), Verdict::wrong_signature) << name;
    EXPECT_EQ(keys->verify(algorithm, "a", "text", signature + "x"), Verdict::wrong_signature) << name;
    signature.back() = static_cast<char>(signature.back() ^ 1);
    EXPECT_EQ(keys->verify(algorithm, "a", "text", signature), Verdict::wrong_signature) << name;
  }
  EXPECT_EQ(ERR_peek_error(), 0UL);  // else the next TLS call of this thread would fail
}

TEST(KeySet, RefusesAnEcdsaSignatureOfZeros) {
  // CVE-2022-21449: r = s = 0 was good for every text.
  const auto keys = from_jwks({p256_key().jwk()}).value();
  EXPECT_EQ(keys->verify(Algorithm::es256, std::nullopt, "text", std::string(64, '\0')), Verdict::wrong_signature);
}

TEST(KeySet, NeverVerifiesUnderAnotherAlgorithm) {
  const auto keys = from_jwks({rsa_key().jwk(R"("kid":"r")"), p256_key().jwk(R"("kid":"e")")}).value();
  const std::string by_rsa = rsa_key().sign("text");
  for (const Algorithm other : {Algorithm::hs256, Algorithm::es256, Algorithm::eddsa}) {
    EXPECT_EQ(keys->verify(other, "r", "text", by_rsa), Verdict::unknown_key);
  }
  EXPECT_EQ(keys->verify(Algorithm::hs256, std::nullopt, "text", by_rsa), Verdict::unknown_key);
  EXPECT_EQ(keys->verify(Algorithm::rs256, "e", "text", by_rsa), Verdict::unknown_key);
}

TEST(KeySet, TriesEveryKeyOfTheAlgorithmWithoutAKid) {
  const TestSigner second = TestSigner::p256();
  const auto keys = from_jwks({p256_key().jwk(R"("kid":"1")"), second.jwk(R"("kid":"2")")}).value();
  EXPECT_EQ(keys->verify(Algorithm::es256, std::nullopt, "text", second.sign("text")), Verdict::configured_key);
  EXPECT_EQ(keys->verify(Algorithm::es256, "1", "text", second.sign("text")), Verdict::wrong_signature);
}

// The vectors share their payload and differ in header, key and signature.
constexpr std::string_view kRfcPayload =
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

Verdict verify_vector(const KeySources& sources, Algorithm algorithm, std::string_view text,
                      std::string_view signature) {
  return KeySet::make(sources).value()->verify(algorithm, std::nullopt, text, base64url_decode(signature).value());
}

TEST(KeySet, KnowsTheVectorsOfTheRfcs) {
  // RFC 7515 appendix A.1.
  const Secret secret(
      *base64url_decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"));
  EXPECT_EQ(verify_vector({.hs256_secret = secret}, Algorithm::hs256,
                          "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9" + std::string(kRfcPayload),
                          "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            Verdict::configured_key);
  // RFC 7515 appendix A.2.
  const std::string rsa =
      R"({"kty":"RSA","e":"AQAB","n":")"
      "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-"
      "pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2Ca"
      "pHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb5"
      R"(4h4FRWyuXpoQ"})";
  EXPECT_EQ(verify_vector({.jwks = jwks_of({rsa})}, Algorithm::rs256, "eyJhbGciOiJSUzI1NiJ9" + std::string(kRfcPayload),
                          "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5"
                          "jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb"
                          "1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QO"
                          "YEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"),
            Verdict::configured_key);
  // RFC 7515 appendix A.3.
  EXPECT_EQ(verify_vector({.jwks = jwks_of({R"({"kty":"EC","crv":"P-256",
                              "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                              "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})"})},
                          Algorithm::es256, "eyJhbGciOiJFUzI1NiJ9" + std::string(kRfcPayload),
                          "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"),
            Verdict::configured_key);
  // RFC 8037 appendix A.4.
  EXPECT_EQ(verify_vector({.jwks = jwks_of({R"({"kty":"OKP","crv":"Ed25519",
                              "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})"})},
                          Algorithm::eddsa, "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
                          "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"),
            Verdict::configured_key);
}

TEST(Jwks, RefusesWhatIsNotASetOfKeys) {
  expect_refused(KeySources{.jwks = "not json"}, "auth.jwks_file: not JSON");
  expect_refused(KeySources{.jwks = "[]"}, "\"keys\" is expected");
  expect_refused(KeySources{.jwks = ed25519_key().jwk()}, "\"keys\" is expected");
  expect_refused(KeySources{.jwks = R"({"keys":{}})"}, "\"keys\" is expected");
  expect_refused({}, "no key in it is for verifying");
  expect_refused({"7"}, "key 1: it is not an object");
  expect_refused({ed25519_key().jwk(), "{}"}, "key 2: it has no kty");
  const std::string small = jwks_of({ed25519_key().jwk()});
  EXPECT_TRUE(KeySet::make({.jwks = small + std::string(kJwksBytesMax - small.size(), ' ')}).ok());
  expect_refused(KeySources{.jwks = small + std::string(kJwksBytesMax - small.size() + 1, ' ')}, "larger than");
}

TEST(Jwks, RefusesOneKeyTooMany) {
  std::string keys;
  for (size_t i = 0; i < kJwksKeysMax; ++i) {
    keys += (i == 0 ? "" : ",") + ed25519_key().jwk("\"kid\":\"" + std::to_string(i) + "\"");
  }
  EXPECT_TRUE(from_jwks({keys}).ok());
  expect_refused({keys, ed25519_key().jwk()}, "more than 32 keys");
}

TEST(Jwks, NeverTakesSymmetricOrPrivateKeys) {
  expect_refused({R"({"kty":"oct","kid":"h","alg":"HS256","k":"c3NzcA"})"}, "key 1 (kid \"h\"): symmetric");
  expect_refused({R"({"kty":"oct","use":"enc","k":"c3NzcA"})"}, "symmetric");
  expect_refused({rsa_key().jwk(R"("kid":"x","d":"AQAB")")}, "key 1 (kid \"x\"): it contains private key material");
  expect_refused({rsa_key().jwk(R"("use":"enc","p":"AQAB")")}, "private key material");
  expect_refused({p256_key().jwk(R"("d":"AQAB")")}, "private key material");
  expect_refused({ed25519_key().jwk(R"("d":"AQAB")")}, "private key material");
}

TEST(Jwks, RefusesUnknownKindsCurvesAndAlgorithms) {
  expect_refused({R"({"kty":"AKP","kid":"pq"})"}, "key 1 (kid \"pq\"): its kty is not one of RSA, EC, OKP");
  expect_refused({R"({"kty":"rsa"})"}, "its kty");
  expect_refused({R"({"kty":1})"}, "no kty");
  for (const std::string alg : {R"("alg":"RS512")", R"("alg":"PS256")", R"("alg":"HS256")", R"("alg":"none")",
                                R"("alg":null)", R"("alg":["RS256"])"}) {
    expect_refused({rsa_key().jwk(alg)}, "the alg of an RSA key must be RS256");
  }
  expect_refused({p256_key().jwk(R"("alg":"ES384")")}, "crv P-256 and alg ES256");
  expect_refused({ed25519_key().jwk(R"("alg":"HS256")")}, "crv Ed25519 and alg EdDSA");
  expect_refused({R"({"kty":"EC","crv":"P-384","x":"AQ","y":"AQ"})"}, "crv P-256");
  expect_refused({R"({"kty":"OKP","crv":"Ed448","x":"AQ"})"}, "crv Ed25519");
}

TEST(Jwks, RefusesRsaKeysOfTheWrongSize) {
  expect_refused({TestSigner::rsa(2040).jwk()}, "it has 2040 bits; an RSA key must have 2048 to 8192");
  const auto with_modulus = [](const std::string& modulus) {
    return R"({"kty":"RSA","e":"AQAB","n":")" + base64url_encode(modulus) + "\"}";
  };
  expect_refused({with_modulus("\x01" + std::string(1024, '\xff'))}, "it has 8193 bits");
  expect_refused({with_modulus("")}, "it has 0 bits");
  expect_refused({with_modulus(std::string(100'000, '\xff'))}, "it has 800000 bits");
}

TEST(Jwks, RefusesRsaExponentsThatVerifyNothing) {
  const std::string n = rsa_key().number(OSSL_PKEY_PARAM_RSA_N);
  const auto with_exponent = [&](const std::string& e) {
    return R"({"kty":"RSA","n":")" + n + R"(","e":")" + base64url_encode(e) + "\"}";
  };
  for (const std::string& bad : {std::string(), std::string(1, '\0'), std::string("\x01"), std::string("\x04")}) {
    EXPECT_FALSE(from_jwks({with_exponent(bad)}).ok()) << base64url_encode(bad);
  }
  EXPECT_TRUE(from_jwks({with_exponent("\x80" + std::string(6, '\0') + "\x01")}).ok());
  expect_refused({with_exponent("\x01" + std::string(7, '\0') + "\x01")}, "at most 64 bits");
  EXPECT_TRUE(from_jwks({with_exponent("\x03")}).ok());
}

TEST(Jwks, RefusesNumbersThatMakeNoKey) {
  const std::string zero = base64url_encode(std::string(32, '\0'));
  const std::string brief = base64url_encode(std::string(31, '\x01'));
  const std::string x = p256_key().number(OSSL_PKEY_PARAM_EC_PUB_X, 32);
  const auto ec = [](const std::string& a, const std::string& b) {
    return R"({"kty":"EC","crv":"P-256","x":")" + a + R"(","y":")" + b + "\"}";
  };
  expect_refused({ec(x, x)}, "make no");  // not on the curve (with overwhelming probability)
  expect_refused({ec(zero, zero)}, "make no");
  expect_refused({ec(brief, x)}, "32 bytes each");
  expect_refused({ec(x, "not base64url!")}, "base64url");
  expect_refused({R"({"kty":"EC","crv":"P-256","x":")" + x + "\"}"}, "base64url");
  expect_refused({R"({"kty":"OKP","crv":"Ed25519","x":")" + brief + "\"}"}, "32 bytes");
  expect_refused({R"({"kty":"OKP","crv":"Ed25519"})"}, "base64url");
  expect_refused({R"({"kty":"RSA","n":5,"e":"AQAB"})"}, "base64url");
}

TEST(Jwks, RefusesKidsThatAreRepeatedReservedOrNoText) {
  expect_refused({p256_key().jwk(R"("kid":"a")"), ed25519_key().jwk(R"("kid":"a")")}, "key 2 (kid \"a\"): another key");
  expect_refused({p256_key().jwk(R"("kid":"tidemark-session")")}, "reserved");
  expect_refused({p256_key().jwk(R"("kid":7)")}, "its kid");
  expect_refused({p256_key().jwk(R"("kid":"")")}, "its kid");
  expect_refused({p256_key().jwk("\"kid\":\"" + std::string(257, 'k') + "\"")}, "its kid");
  EXPECT_TRUE(from_jwks({p256_key().jwk("\"kid\":\"" + std::string(256, 'k') + "\"")}).ok());
}

TEST(Jwks, PassesOverKeysForOtherUses) {
  const std::string encryption = rsa_key().jwk(R"("use":"enc","alg":"RSA-OAEP","kid":"e")");
  expect_refused({encryption}, "no key in it is for verifying");
  expect_refused({p256_key().jwk(R"("key_ops":["sign"])")}, "no key in it");
  expect_refused({p256_key().jwk(R"("key_ops":"verify")")}, "no key in it");
  expect_refused({p256_key().jwk(R"("use":7)")}, "no key in it");
  const auto keys = from_jwks({encryption, p256_key().jwk()}).value();
  EXPECT_EQ(keys->verify(Algorithm::rs256, "e", "text", rsa_key().sign("text")), Verdict::unknown_key);
}

TEST(KeySet, IsUsedFromManyThreads) {
  const auto keys = from_jwks({rsa_key().jwk(), p256_key().jwk(), ed25519_key().jwk()}).value();
  const std::pair<Algorithm, std::string> signatures[] = {{Algorithm::rs256, rsa_key().sign("text")},
                                                          {Algorithm::es256, p256_key().sign("text")},
                                                          {Algorithm::eddsa, ed25519_key().sign("text")}};
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        for (const auto& [algorithm, signature] : signatures) {
          good += keys->verify(algorithm, std::nullopt, "text", signature) == Verdict::configured_key;
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(good, 4 * 20 * 3);
}

}  // namespace
}  // namespace tidemark::account
