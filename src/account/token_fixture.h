// For tests: the keys and the ways to make a token that the tests of token.h share.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>

#include "account/test_signer.h"
#include "account/token.h"

namespace tidemark::account {

inline constexpr int64_t kNow = 1'700'000'000;  // where ManualClock starts, in seconds
inline constexpr std::string_view kHs256 = R"({"alg":"HS256","typ":"JWT"})";
inline constexpr std::string_view kAlice = R"({"sub":"alice","exp":1700000600})";

struct TestSigners {
  TestSigner rsa = TestSigner::rsa();
  TestSigner p256 = TestSigner::p256();
  TestSigner ed25519 = TestSigner::ed25519();
};
inline const TestSigners& signers() {
  static const TestSigners keys;
  return keys;
}

// One key of every kind, a configured secret and the one before it; `expect_` and `clock_` are the test's to change.
class TokenFixture : public ::testing::Test {
 protected:
  Result<Claims> verify(std::string_view token) const { return verify_token(token, *keys_, expect_, clock_); }

  // The claims of a token with this payload, signed with the configured secret.
  Result<Claims> verify_payload(std::string_view payload) const { return verify(token_with(secret_, kHs256, payload)); }
  Result<Claims> verify_header(std::string_view header) const { return verify(token_with(secret_, header, kAlice)); }
  // Alice's token with one more claim.
  Result<Claims> verify_claim(const std::string& claim) const {
    return verify_payload(R"({"sub":"alice","exp":1700000600,)" + claim + "}");
  }

  void expect_refused(const Result<Claims>& result, std::string_view what) const {
    ASSERT_FALSE(result.ok()) << "expected: " << what;
    EXPECT_EQ(result.error().code, Code::unauthorized);
    EXPECT_THAT(result.error().text, ::testing::HasSubstr(std::string(what)));
  }

  ManualClock clock_;
  Expectations expect_;
  Secret secret_{std::string(32, 's')};
  Secret previous_{std::string(32, 'p')};
  Secret session_key_{std::string(32, 'k')};
  std::shared_ptr<const KeySet> keys_ =
      KeySet::make({.hs256_secret = secret_,
                    .hs256_secret_previous = previous_,
                    .jwks = jwks_of({signers().rsa.jwk(R"("kid":"rsa")"), signers().p256.jwk(R"("kid":"ec")"),
                                     signers().ed25519.jwk(R"("kid":"ed")")}),
                    .session_key = session_key_})
          .value();
};

}  // namespace tidemark::account
