#include "account/token.h"

#include <gtest/gtest.h>

#include "account/token_fixture.h"

namespace tidemark::account {
namespace {

using TokenClaims = TokenFixture;

TEST_F(TokenClaims, RefusesAPayloadNestedTooDeeply) {
  const auto nested = [](size_t depth) { return R"("x":)" + std::string(depth, '[') + "1" + std::string(depth, ']'); };
  EXPECT_TRUE(verify_claim(nested(31)).ok());  // the payload itself is the first of 32
  expect_refused(verify_claim(nested(32)), "deeper than 32");
}

TEST_F(TokenClaims, NeedsSubAndExp) {
  expect_refused(verify_payload(R"({"exp":1700000600})"), "has no sub");
  expect_refused(verify_payload(R"({"sub":"alice"})"), "has no exp");
  expect_refused(verify_payload("{}"), "has no exp");
}

TEST_F(TokenClaims, ExpiresWhenTheLeewayIsOver) {
  const std::string token = token_with(secret_, kHs256, R"({"sub":"alice","exp":1700000100})");
  clock_.advance(std::chrono::milliseconds(159'999));
  EXPECT_TRUE(verify(token).ok());
  clock_.advance(std::chrono::milliseconds(1));
  expect_refused(verify(token), "has expired");
  expect_.leeway = std::chrono::seconds(61);
  EXPECT_TRUE(verify(token).ok());
  expect_.leeway = std::chrono::seconds(0);
  expect_refused(verify(token), "has expired");
}

TEST_F(TokenClaims, ReadsFractionsOfASecond) {
  EXPECT_EQ(verify_payload(R"({"sub":"alice","exp":1700000000.75})").value().expires_at, kNow);
  EXPECT_EQ(verify_payload(R"({"sub":"alice","exp":1.7000006e9})").value().expires_at, kNow + 600);
  EXPECT_EQ(verify_claim(R"("iat":1699999999.999)").value().issued_at, kNow - 1);
  const std::string token = token_with(secret_, kHs256, R"({"sub":"alice","exp":1700000000.5})");
  clock_.advance(std::chrono::milliseconds(60'499));
  EXPECT_TRUE(verify(token).ok());
  clock_.advance(std::chrono::milliseconds(1));
  expect_refused(verify(token), "has expired");
}

TEST_F(TokenClaims, WaitsForNbfAndIat) {
  EXPECT_TRUE(verify_claim(R"("nbf":1700000060,"iat":1700000060)").ok());
  expect_refused(verify_claim(R"("nbf":1700000060.001)"), "not valid yet");
  expect_refused(verify_claim(R"("nbf":1700000061)"), "not valid yet");
  expect_refused(verify_claim(R"("iat":1700000061)"), "issued in the future");
}

TEST_F(TokenClaims, RefusesTimesThatAreNone) {
  for (const std::string claim : {"exp", "nbf", "iat"}) {
    const std::string others = claim == "exp" ? R"({"sub":"alice",")" : R"({"sub":"alice","exp":1700000600,")";
    for (const std::string value : {R"("1700000000")", "null", "true", "[]", "{}"}) {
      expect_refused(verify_payload(others + claim + "\":" + value + "}"), claim + " is not a number");
    }
    for (const std::string value : {"-1", "-0.5", "253402300800", "1700000600000", "18446744073709551615", "1e300"}) {
      expect_refused(verify_payload(others + claim + "\":" + value + "}"), claim + " is no time");
    }
    for (const std::string value : {"1e999", "-1e999", "NaN", "Infinity", "99999999999999999999999", "0x10", "01"}) {
      expect_refused(verify_payload(others + claim + "\":" + value + "}"), "");
    }
  }
  EXPECT_EQ(verify_payload(R"({"sub":"alice","exp":253402300799})").value().expires_at, 253402300799);
}

TEST_F(TokenClaims, ChecksTheIssuerIfOneIsConfigured) {
  EXPECT_TRUE(verify_claim(R"("iss":"anyone")").ok());
  expect_refused(verify_claim(R"("iss":7)"), "iss is not a text");
  expect_.issuer = "https://id.example";
  EXPECT_TRUE(verify_claim(R"("iss":"https://id.example")").ok());
  for (const std::string claim : {R"("iss":"https://id.example/")", R"("iss":"https://ID.example")", R"("iss":"")",
                                  R"("aud":"https://id.example")"}) {
    expect_refused(verify_claim(claim), "another issuer");
  }
  expect_refused(verify_claim(R"("iss":["https://id.example"])"), "iss is not a text");
}

TEST_F(TokenClaims, ChecksTheAudienceIfOneIsConfigured) {
  EXPECT_TRUE(verify_claim(R"("aud":["a","b"])").ok());
  expect_refused(verify_claim(R"("aud":7)"), "aud is not a list of texts");
  expect_.audience = "chat";
  EXPECT_TRUE(verify_claim(R"("aud":"chat")").ok());
  EXPECT_TRUE(verify_claim(R"("aud":["mail","chat"])").ok());
  for (const std::string claim : {R"("aud":"mail")", R"("aud":[])", R"("aud":["chat2","cha"])", R"("x":1)"}) {
    expect_refused(verify_claim(claim), "another audience");
  }
  for (const std::string value : {R"(["chat",7])", R"({"chat":1})", R"([["chat"]])", "null"}) {
    expect_refused(verify_claim("\"aud\":" + value), "aud is not a list of texts");
  }
}

TEST_F(TokenClaims, RefusesIdsThatAreNone) {
  const auto with_sub = [&](const std::string& sub) {
    return verify_payload(R"({"exp":1700000600,"sub":")" + sub + "\"}");
  };
  EXPECT_TRUE(with_sub(std::string(128, 'u')).ok());
  EXPECT_TRUE(with_sub("Zoë ✓ @#/..").ok());
  expect_refused(with_sub(std::string(129, 'u')), "sub is not 1 to 128 bytes");
  for (const std::string sub :
       {"", "\\u0000", "ali\\u0000ce", "ali\\nce", "\\u001f", "\\u007f", "\\u0085", "\xc2\x9f"}) {
    expect_refused(with_sub(sub), "sub is not 1 to 128 bytes without control characters");
  }
  for (const std::string claim : {"tenant", "sid", "jti"}) {
    expect_refused(verify_claim("\"" + claim + R"(":"")"), claim + " is not 1 to 128");
    expect_refused(verify_claim("\"" + claim + R"(":"a\tb")"), claim + " is not 1 to 128");
    expect_refused(verify_claim("\"" + claim + "\":\"" + std::string(129, 'x') + "\""), claim + " is not 1 to 128");
    expect_refused(verify_claim("\"" + claim + "\":7"), claim + " is not a text");
    expect_refused(verify_claim("\"" + claim + "\":null"), claim + " is not a text");
  }
  for (const std::string sub : {"7", "null", R"(["alice"])", R"({"id":"alice"})"}) {
    expect_refused(verify_payload(R"({"exp":1700000600,"sub":)" + sub + "}"), "sub is not a text");
  }
  expect_refused(verify_claim(R"("name":["Alice"])"), "name is not a text");
}

TEST_F(TokenClaims, ReadsRoles) {
  const auto roles = [&](const std::string& json) { return verify_claim("\"roles\":" + json); };
  EXPECT_TRUE(roles(R"(["admin"])").value().admin);
  EXPECT_FALSE(roles(R"(["admin"])").value().service);
  EXPECT_TRUE(roles(R"(["editor","service"])").value().service);
  for (const std::string json : {"[]", R"(["Admin","admin ","root","admin\u0000"])"}) {
    const Claims claims = roles(json).value();
    EXPECT_FALSE(claims.admin || claims.service) << json;
  }
  for (const std::string json : {R"("admin")", "null", R"({"admin":true})", R"([["admin"]])", R"(["admin",1])"}) {
    expect_refused(roles(json), "roles is not a list of texts");
  }
}

TEST_F(TokenClaims, RefusesAClaimThatAppearsTwice) {
  for (const std::string claim : {R"("sub":"bob")", R"("exp":1800000000)", R"("s\u0075b":"bob")", R"("sub":"alice")"}) {
    expect_refused(verify_claim(claim), "twice");
  }
  expect_refused(verify_claim(R"("tenant":"a","tenant":"b")"), "contains tenant twice");
  expect_refused(verify_claim(R"("roles":[],"roles":["admin"])"), "contains roles twice");
  expect_refused(verify_claim(R"("nbf":1,"nbf":2)"), "contains nbf twice");
  expect_refused(verify_header(R"({"alg":"HS256","alg":"HS256"})"), "contains alg twice");
  expect_refused(verify_header(R"({"alg":"none","alg":"HS256"})"), "contains alg twice");
  expect_refused(verify_header(R"({"alg":"HS256","kid":"a","kid":"rsa"})"), "contains kid twice");
  EXPECT_TRUE(verify_claim(R"("other":1,"other":2,"in":{"sub":"bob"})").ok());
}

}  // namespace
}  // namespace tidemark::account
