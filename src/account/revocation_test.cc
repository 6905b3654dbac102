#include "account/revocation.h"

#include <gtest/gtest.h>

#include "account/token.h"

namespace tidemark::account {
namespace {

constexpr int64_t kAt = 1'700'000'000'500;

Revocation revocation(RevocationKind kind, const std::string& subject, int64_t until = Revocation::kForever,
                      const std::string& tenant = "red") {
  Revocation one;
  one.kind = kind;
  one.tenant = TenantId(tenant);
  one.subject = subject;
  one.at = kAt;
  one.until = until;
  return one;
}

TokenMark mark(int64_t issued_at, const std::string& session = {}, const std::string& jti = {}) {
  Claims claims;
  claims.issued_at = issued_at;
  claims.session = SessionId(session);
  claims.jti = jti;
  return TokenMark(claims);
}

const UserKey kAlice(TenantId("red"), UserId("alice"));

TEST(RevocationSet, AnEmptyOneRevokesNothing) {
  const RevocationSet set;
  EXPECT_FALSE(set.revoked(kAlice, mark(0, "s", "j")));
  EXPECT_EQ(set.size(), 0u);
}

TEST(RevocationSet, AUserLosesWhatWasIssuedUpToTheSecondOfTheRevocation) {
  const auto set = RevocationSet().with(revocation(RevocationKind::user, "alice"));
  EXPECT_TRUE(set->revoked(kAlice, mark(kAt / 1000 - 1)));
  EXPECT_TRUE(set->revoked(kAlice, mark(kAt / 1000))) << "perhaps half a second before, perhaps after";
  EXPECT_FALSE(set->revoked(kAlice, mark(kAt / 1000 + 1)));
}

TEST(RevocationSet, ATokenThatDoesNotSayWhenItWasIssuedIsRevokedWithItsUser) {
  const auto set = RevocationSet().with(revocation(RevocationKind::user, "alice"));
  EXPECT_TRUE(set->revoked(kAlice, mark(0)));
}

TEST(RevocationSet, NamesOfAnotherKindOrTenantAreOthers) {
  const auto set = RevocationSet().with(revocation(RevocationKind::user, "x"))
                       ->with(revocation(RevocationKind::session, "y"))
                       ->with(revocation(RevocationKind::token, "z"));
  EXPECT_EQ(set->size(), 3u);
  const int64_t later = kAt / 1000 + 10;
  EXPECT_TRUE(set->revoked(kAlice, mark(later, "y")));
  EXPECT_TRUE(set->revoked(kAlice, mark(later, {}, "z")));
  EXPECT_FALSE(set->revoked(kAlice, mark(later, "z", "y")));
  EXPECT_FALSE(set->revoked(kAlice, mark(later, "x", "x")));
  EXPECT_FALSE(set->revoked(UserKey(TenantId("blue"), UserId("x")), mark(0, "y", "z")));
  // "1r" + "ed" is not "1" + "red".
  EXPECT_FALSE(set->contains(RevocationKind::session, TenantId("re"), "dy"));
}

TEST(RevocationSet, ALaterOneOfTheSameSubjectReplacesTheEarlier) {
  Revocation later = revocation(RevocationKind::user, "alice");
  later.at += 60'000;
  const auto set = RevocationSet().with(revocation(RevocationKind::user, "alice"))->with(later);
  EXPECT_EQ(set->size(), 1u);
  EXPECT_TRUE(set->revoked(kAlice, mark(kAt / 1000 + 30)));
}

TEST(RevocationSet, TwoOfTheSameSubjectAddUpInAnyOrder) {
  Revocation strong = revocation(RevocationKind::user, "alice", kAt + 90'000);
  strong.at += 60'000;
  const Revocation weak = revocation(RevocationKind::user, "alice", kAt + 1000);
  for (const auto& set : {RevocationSet().with(strong)->with(weak), RevocationSet().with(weak)->with(strong)}) {
    EXPECT_EQ(set->size(), 1u);
    EXPECT_TRUE(set->revoked(kAlice, mark(kAt / 1000 + 30)));
    EXPECT_EQ(set->without_expired(kAt + 50'000)->size(), 1u);
    EXPECT_EQ(set->without_expired(kAt + 90'000)->size(), 0u);
  }
}

TEST(RevocationSet, AnOlderSetDoesNotChange) {
  const auto older = RevocationSet().with(revocation(RevocationKind::token, "a"));
  const auto newer = older->with(revocation(RevocationKind::token, "b"));
  EXPECT_EQ(older->size(), 1u);
  EXPECT_FALSE(older->contains(RevocationKind::token, TenantId("red"), "b"));
  EXPECT_TRUE(newer->contains(RevocationKind::token, TenantId("red"), "b"));
}

TEST(RevocationSet, ForgetsThoseWhoseTokensHaveExpiredAndNoOther) {
  RevocationSet::Pointer set = std::make_shared<const RevocationSet>();
  for (int i = 0; i < 1000; ++i) {
    set = set->with(revocation(RevocationKind::token, "t" + std::to_string(i), i % 2 == 0 ? kAt + i : Revocation::kForever));
  }
  const auto swept = set->without_expired(kAt + 500);
  EXPECT_EQ(swept->size(), 1000u - 251u);
  EXPECT_FALSE(swept->contains(RevocationKind::token, TenantId("red"), "t500"));
  EXPECT_TRUE(swept->contains(RevocationKind::token, TenantId("red"), "t502"));
  EXPECT_TRUE(swept->contains(RevocationKind::token, TenantId("red"), "t499"));
  EXPECT_EQ(set->size(), 1000u);
}

}  // namespace
}  // namespace tidemark::account
