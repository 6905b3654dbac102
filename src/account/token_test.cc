#include "account/token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "account/base64url.h"
#include "account/test_signer.h"
#include "account/token_fixture.h"

namespace tidemark::account {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";

using Tokens = TokenFixture;

TEST_F(Tokens, MintedTokenGivesItsClaimsBack) {
  const std::string token = mint_token({.user = UserId("alice"),
                                        .tenant = TenantId("acme"),
                                        .roles = {"service", "admin"},
                                        .session = SessionId("s-1"),
                                        .device = DeviceId("phone"),
                                        .jti = "j-1",
                                        .name = "Älice \"A\"",
                                        .issuer = "us",
                                        .audience = "chat",
                                        .issued_at = kNow,
                                        .expires_at = kNow + 60},
                                       secret_);
  expect_.issuer = "us";
  expect_.audience = "chat";
  const Claims claims = verify(token).value();
  EXPECT_EQ(claims.user.str(), "alice");
  EXPECT_EQ(claims.tenant.str(), "acme");
  EXPECT_TRUE(claims.admin);
  EXPECT_TRUE(claims.service);
  EXPECT_EQ(claims.session.str(), "s-1");
  EXPECT_EQ(claims.jti, "j-1");
  EXPECT_EQ(claims.name, "Älice \"A\"");
  EXPECT_EQ(claims.issued_at, kNow);
  EXPECT_EQ(claims.expires_at, kNow + 60);
  EXPECT_FALSE(claims.session_token);
  const std::string payload = token.substr(token.find('.') + 1, token.rfind('.') - token.find('.') - 1);
  EXPECT_THAT(base64url_decode(payload).value(), HasSubstr(R"("device_id":"phone")"));
}

TEST_F(Tokens, LeavesOutWhatIsNotSaid) {
  const std::string token = mint_token({.user = UserId("alice"), .expires_at = kNow + 60}, secret_);
  const std::string text = signed_text_of(R"({"alg":"HS256","typ":"JWT"})", R"({"sub":"alice","exp":1700000060})");
  EXPECT_EQ(token.substr(0, token.rfind('.')), text);
  const Claims claims = verify(token).value();
  EXPECT_EQ(claims.tenant.str(), "default");
  EXPECT_FALSE(claims.admin);
  EXPECT_FALSE(claims.service);
  EXPECT_TRUE(claims.session.empty());
  EXPECT_EQ(claims.issued_at, 0);
}

TEST_F(Tokens, AcceptsEachConfiguredAlgorithm) {
  const std::tuple<const TestSigner&, std::string, std::string> kinds[] = {
      {signers().rsa, "RS256", "rsa"}, {signers().p256, "ES256", "ec"}, {signers().ed25519, "EdDSA", "ed"}};
  for (const auto& [signer, alg, kid] : kinds) {
    const std::string without_kid = R"({"alg":")" + alg + "\"}";
    const std::string with_kid = R"({"alg":")" + alg + R"(","kid":")" + kid + "\"}";
    EXPECT_EQ(verify(token_with(signer, without_kid, kAlice)).value().user.str(), "alice");
    EXPECT_FALSE(verify(token_with(signer, with_kid, kAlice)).value().session_token);
    expect_refused(verify(token_with(signer, R"({"alg":")" + alg + R"(","kid":"other"})", kAlice)), "no key");
  }
}

TEST_F(Tokens, AcceptsTheSecretBeforeARotation) {
  EXPECT_TRUE(verify(token_with(previous_, kHs256, kAlice)).ok());
  expect_refused(verify(token_with(Secret(std::string(32, 'x')), kHs256, kAlice)), "signature is wrong");
}

TEST_F(Tokens, RefusesAlgNoneInEverySpelling) {
  for (const std::string alg : {"none", "None", "NONE", "nOnE", "none ", "", "hs256", "Hs256", "HS256 ", "HS384",
                                "HS512", "RS512", "PS256", "ES384", "eddsa", "HS256\\u0000", "RSA1_5"}) {
    const std::string header = R"({"alg":")" + alg + R"(","typ":"JWT"})";
    expect_refused(verify_header(header), "alg is not accepted");
    expect_refused(verify(signed_text_of(header, kAlice) + "."), "alg is not accepted");
  }
  expect_refused(verify(signed_text_of(kHs256, kAlice) + "."), "signature is wrong");
}

TEST_F(Tokens, RefusesAnAlgThatIsMissingOrNoText) {
  expect_refused(verify_header(R"({"typ":"JWT"})"), "alg is not accepted");
  for (const std::string alg : {"null", "true", "1", R"(["HS256"])", R"({"HS256":1})"}) {
    expect_refused(verify_header(R"({"alg":)" + alg + "}"), "alg is not a text");
  }
}

TEST_F(Tokens, RefusesAPublicKeyUsedAsASecret) {
  const std::string modulus = signers().rsa.number(OSSL_PKEY_PARAM_RSA_N);
  for (const std::string& public_text :
       {signers().rsa.public_pem(), modulus, *base64url_decode(modulus), signers().rsa.jwk(),
        signers().p256.public_pem(), signers().ed25519.public_pem()}) {
    for (const std::string kid : {"", R"(,"kid":"rsa")", R"(,"kid":"ec")", R"(,"kid":"ed")"}) {
      const std::string header = R"({"alg":"HS256")" + kid + "}";
      expect_refused(verify(token_with(Secret(public_text), header, kAlice)), kid.empty() ? "signature" : "no key");
    }
  }
}

TEST_F(Tokens, RefusesAKeyUnderAnotherAlgorithm) {
  const std::string rsa_as_es = R"({"alg":"ES256","kid":"rsa"})";
  expect_refused(verify(token_with(signers().rsa, rsa_as_es, kAlice)), "no key");
  expect_refused(verify(token_with(signers().p256, R"({"alg":"ES256","kid":"rsa"})", kAlice)), "no key");
  expect_refused(verify(token_with(signers().p256, R"({"alg":"RS256"})", kAlice)), "signature is wrong");
  expect_refused(verify(token_with(secret_, R"({"alg":"RS256"})", kAlice)), "signature is wrong");
}

TEST_F(Tokens, RefusesAWrongKeyOfTheRightKind) {
  expect_refused(verify(token_with(TestSigner::p256(), R"({"alg":"ES256","kid":"ec"})", kAlice)), "signature is wrong");
  expect_refused(verify(token_with(TestSigner::ed25519(), R"({"alg":"EdDSA"})", kAlice)), "signature is wrong");
}

TEST_F(Tokens, OnlyLooksAKidUp) {
  for (const std::string kid : {"../../../dev/null", "/etc/passwd", "' OR 1=1 --", "x' UNION SELECT 'key'--",
                                "rsa\\u0000", "\\u0000", "", "http://evil.example/key", "RSA", "|id"}) {
    const std::string header = R"({"alg":"HS256","kid":")" + kid + "\"}";
    expect_refused(verify_header(header), "no key is known");
    // An empty secret: what /dev/null would be if it were read as a key.
    expect_refused(verify(token_with(Secret(""), header, kAlice)), "no key is known");
  }
  for (const std::string kid : {"null", "1", "[]", R"(["rsa"])"}) {
    expect_refused(verify_header(R"({"alg":"HS256","kid":)" + kid + "}"), "kid is not a text");
  }
}

TEST_F(Tokens, RefusesHeadersThatBringAKeyOrMustBeUnderstood) {
  for (const std::string name : {"jku", "x5u", "jwk", "x5c", "crit"}) {
    for (const std::string value : {R"("https://evil.example/")", "{}", "[]", R"(["exp"])", "null"}) {
      expect_refused(verify_header(R"({"alg":"HS256",")" + name + "\":" + value + "}"), name);
    }
  }
  EXPECT_TRUE(verify_header(R"({"alg":"HS256","x5t":"abc","other":{"jku":1}})").ok());
}

TEST_F(Tokens, RefusesAnotherKindOfToken) {
  for (const std::string type : {"JWT", "jwt", "Jwt", "at+jwt", "AT+JWT"}) {
    EXPECT_TRUE(verify_header(R"({"alg":"HS256","typ":")" + type + "\"}").ok()) << type;
  }
  EXPECT_TRUE(verify_header(R"({"alg":"HS256"})").ok());
  for (const std::string type : {"", "JWTX", "JW", "dpop+jwt", "logout+jwt", "JOSE"}) {
    expect_refused(verify_header(R"({"alg":"HS256","typ":")" + type + "\"}"), "typ is neither");
  }
  expect_refused(verify_header(R"({"alg":"HS256","typ":null})"), "typ is not a text");
}

TEST_F(Tokens, RefusesWhatIsNoToken) {
  for (const std::string text : {"", ".", "a.b", "a.b.c.d", "....", "a.b.c.d.e", "bearer"}) {
    expect_refused(verify(text), "three parts");
  }
  expect_refused(verify(".."), "header is not valid JSON");
  expect_refused(verify("e30=.e30."), "header is not base64url");
  for (const std::string header : {"[]", "7", "null", R"("alg")", R"([{"alg":"HS256"}])"}) {
    expect_refused(verify_header(header), "header is not a JSON object");
  }
  for (const std::string header : {"", "{", R"({"alg":"HS256"}x)", R"({"alg":"HS256"}{})", "{\"alg\":\"HS256\xff\"}",
                                   R"({"alg":"\ud800"})", R"({'alg':'HS256'})"}) {
    expect_refused(verify_header(header), "header is not valid JSON");
  }
  for (const std::string payload : {"", "{", "alice", R"({"sub":"\udc00","exp":1700000600})", "{\"sub\":\"\xff\"}"}) {
    expect_refused(verify_payload(payload), "payload is not valid JSON");
  }
  expect_refused(verify_payload("[]"), "payload is not a JSON object");
}

TEST_F(Tokens, RefusesEveryTruncation) {
  const std::string token = token_with(secret_, kHs256, kAlice);
  for (size_t size = 0; size < token.size(); ++size) {
    EXPECT_FALSE(verify(token.substr(0, size)).ok()) << size;
  }
  EXPECT_TRUE(verify(token).ok());
}

TEST_F(Tokens, RefusesATokenWithAnySingleCharacterChanged) {
  const std::string token = token_with(secret_, kHs256, kAlice);
  for (size_t i = 0; i < token.size(); ++i) {
    for (const char c : kAlphabet) {
      std::string changed = token;
      changed[i] = c;
      EXPECT_EQ(verify(changed).ok(), c == token[i]) << i << c;
    }
  }
}

TEST_F(Tokens, RefusesAPublicKeyTokenWithAnySingleCharacterChanged) {
  for (const std::string& token : {token_with(signers().rsa, R"({"alg":"RS256"})", kAlice),
                                   token_with(signers().p256, R"({"alg":"ES256"})", kAlice),
                                   token_with(signers().ed25519, R"({"alg":"EdDSA"})", kAlice)}) {
    for (size_t i = 0; i < token.size(); ++i) {
      std::string changed = token;
      changed[i] = changed[i] == 'B' ? 'C' : 'B';
      EXPECT_FALSE(verify(changed).ok()) << i;
    }
  }
}

TEST_F(Tokens, RefusesAnEs256SignatureInDer) {
  const std::string text = signed_text_of(R"({"alg":"ES256"})", kAlice);
  const std::string raw = signers().p256.sign(text);
  ASSERT_TRUE(verify(text + "." + base64url_encode(raw)).ok());
  const std::string der = "\x30\x44\x02\x20" + raw.substr(0, 32) + "\x02\x20" + raw.substr(32);
  expect_refused(verify(text + "." + base64url_encode(der)), "signature is wrong");
  expect_refused(verify(text + "." + base64url_encode(std::string(64, '\0'))), "signature is wrong");
}

TEST_F(Tokens, RefusesATokenOneByteTooLong) {
  // Base64url has no text of 4n + 1 characters, so the header gives way as well.
  const auto token_of_size = [&](size_t wanted) {
    for (size_t pad = 0; pad < 4; ++pad) {
      const std::string header = R"({"alg":"HS256","pad":")" + std::string(pad, 'x') + "\"}";
      for (size_t size = 5900; size < 6100; ++size) {
        const std::string name(size, 'n');
        std::string token = token_with(secret_, header, R"({"sub":"alice","exp":1700000600,"name":")" + name + "\"}");
        if (token.size() == wanted) {
          return token;
        }
      }
    }
    return std::string();
  };
  const std::string fits = token_of_size(8192);
  const std::string too_long = token_of_size(8193);
  ASSERT_EQ(fits.size(), 8192U);
  ASSERT_EQ(too_long.size(), 8193U);
  EXPECT_TRUE(verify(fits).ok());
  expect_refused(verify(too_long), "longer than 8192 bytes");
  expect_.token_bytes_max = 8193;
  EXPECT_TRUE(verify(too_long).ok());
}

TEST_F(Tokens, KnowsATokenOfASession) {
  MintRequest request{.user = UserId("alice"), .session = SessionId("s-1"), .expires_at = kNow + 60};
  const Claims claims = verify(mint_token(request, keys_->session_key(), kSessionKid)).value();
  EXPECT_TRUE(claims.session_token);
  EXPECT_EQ(claims.session.str(), "s-1");

  // A user's own token may name a session, which does not make it the store's.
  EXPECT_FALSE(verify(mint_token(request, secret_)).value().session_token);
  expect_refused(verify(mint_token(request, secret_, kSessionKid)), "signature is wrong");
  expect_refused(verify(mint_token(request, session_key_)), "signature is wrong");
  expect_refused(verify(mint_token(request, session_key_, "rsa")), "no key");

  request.session = SessionId();
  expect_refused(verify(mint_token(request, session_key_, kSessionKid)), "needs a sid");
}

TEST_F(Tokens, RefusesTheStoresKidUnderAnotherAlgorithm) {
  for (const std::string alg : {"RS256", "ES256", "EdDSA"}) {
    const std::string header = R"({"alg":")" + alg + R"(","kid":"tidemark-session"})";
    expect_refused(verify(token_with(session_key_, header, kAlice)), "no key");
  }
  expect_refused(verify(token_with(signers().p256, R"({"alg":"ES256","kid":"tidemark-session"})", kAlice)), "no key");
}

TEST_F(Tokens, ShowsNothingOfATokenInAnError) {
  const std::string marker = "M4rk3r";
  for (const std::string& token :
       {marker, marker + "." + marker + "." + marker, token_with(secret_, R"({"alg":"M4rk3r"})", kAlice),
        token_with(secret_, R"({"alg":"HS256","kid":"M4rk3r"})", kAlice),
        token_with(secret_, R"({"alg":"HS256","typ":"M4rk3r"})", kAlice),
        token_with(secret_, R"({"alg":"HS256","crit":["M4rk3r"]})", kAlice), token_with(secret_, kHs256, marker),
        token_with(secret_, kHs256, R"({"sub":"M4rk3r\n","exp":1700000600})"),
        token_with(secret_, kHs256, R"({"sub":"a","exp":"M4rk3r"})"),
        token_with(secret_, kHs256, R"({"sub":"a","exp":1700000600,"roles":"M4rk3r"})")}) {
    const auto result = verify(token);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, Code::unauthorized);
    EXPECT_FALSE(result.error().text.empty());
    EXPECT_THAT(result.error().text, Not(HasSubstr(marker)));
  }
}

}  // namespace
}  // namespace tidemark::account
