#include "account/account.h"

#include <gmock/gmock.h>

#include "account/token_fixture.h"
#include "core/worker_fixture.h"
#include "storage/sqlite_database.h"

namespace tidemark::account {
namespace {

class AccountTest : public TokenFixture {
 protected:
  AccountTest() {
    storage::SqliteOptions options;
    options.path = ":memory:";
    database_ = std::move(*storage::open_sqlite(std::move(options), metrics_));
    EXPECT_TRUE(storage::migrate(*database_, kMigrations).ok());
    options_.session_ttl_max = std::chrono::hours(1);
    options_.audit_keep = std::chrono::hours(24);
    options_.revocations_max = 3;
    workers_.start();
    restart();
  }
  ~AccountTest() override {
    database_->close();
    workers_.stop_and_join();
  }

  // As a new process with the same store.
  void restart() {
    run_on(workers_.at(0), [this] {
      account_.reset();
      account_ = std::make_unique<Account>(workers_, *database_, keys_, options_, clock_, metrics_);
    });
    EXPECT_TRUE(account_->load().ok());
  }

  Result<Revocation> revoke(RevocationKind kind, const std::string& subject, int64_t until = Revocation::kForever) {
    std::optional<Result<Revocation>> answer;
    finish_on(workers_.at(1), [&]() -> Task<> {
      Revocation revocation;
      revocation.kind = kind;
      revocation.tenant = TenantId("default");
      revocation.subject = subject;
      revocation.until = until;
      AuditRecord record;
      record.tenant = TenantId("default");
      record.actor = "root";
      record.action = "revocation.create";
      record.target = subject;
      answer.emplace(co_await account_->revoke(std::move(revocation), std::move(record)));
      EXPECT_EQ(Worker::current(), &workers_.at(1));
    });
    return *answer;
  }
  Result<Claims> show(const std::string& claims) const {
    return account_->authenticate(token_with(secret_, kHs256, R"({"sub":"alice","exp":1700000600)" + claims + "}"));
  }
  int64_t in_force() { return metrics_.gauge("tidemark_revocations", "").value(); }

  MetricRegistry metrics_;
  WorkerPool workers_{2, clock_};
  std::unique_ptr<storage::Database> database_;
  AccountOptions options_;
  std::unique_ptr<Account> account_;
};

TEST_F(AccountTest, RevokedTokensAreUnauthorizedFromTheAnswerOn) {
  EXPECT_TRUE(show("").ok());
  EXPECT_TRUE(show(R"(,"iat":1700000000)").ok());
  ASSERT_TRUE(revoke(RevocationKind::user, "alice").ok());
  expect_refused(show(""), "revoked");
  expect_refused(show(R"(,"iat":1700000000)"), "revoked");
  EXPECT_TRUE(show(R"(,"iat":1700000001)").ok());
  EXPECT_TRUE(show(R"(,"iat":1700000001,"jti":"a")").ok());
  ASSERT_TRUE(revoke(RevocationKind::token, "a").ok());
  expect_refused(show(R"(,"iat":1700000001,"jti":"a")"), "revoked");
}

TEST_F(AccountTest, RevocationsAndTheirGrowingIdsOutliveTheProcess) {
  const int64_t first = revoke(RevocationKind::user, "alice")->id;
  const int64_t second = revoke(RevocationKind::user, "alice")->id;
  EXPECT_LT(first, second);
  restart();
  EXPECT_EQ(in_force(), 1);
  expect_refused(show(""), "revoked");
  EXPECT_LT(second, revoke(RevocationKind::token, "a")->id);
}

TEST_F(AccountTest, OneMoreThanTheLimitIsTooLarge) {
  for (const char* jti : {"a", "b", "c"}) {
    EXPECT_TRUE(revoke(RevocationKind::token, jti).ok());
  }
  EXPECT_TRUE(revoke(RevocationKind::token, "b").ok()) << "no new one";
  const auto refused = revoke(RevocationKind::token, "d");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::too_large);
}

TEST_F(AccountTest, IsKeptAsLongAsATokenMayLive) {
  const int64_t now = clock_.unix_ms();
  const int64_t minute = 60'000;
  EXPECT_EQ(revoke(RevocationKind::user, "alice")->until, Revocation::kForever);
  EXPECT_EQ(revoke(RevocationKind::session, "s")->until, now + 62 * minute) << "the session stays closed";
  EXPECT_EQ(revoke(RevocationKind::token, "a", now + 5 * minute)->until, now + 6 * minute) << "with the leeway";
  options_.revocations_max = 10;
  options_.expectations.lifetime_max = std::chrono::hours(3);
  restart();
  EXPECT_EQ(revoke(RevocationKind::user, "bob")->until, now + 182 * minute);
  options_.expectations.lifetime_max = std::chrono::minutes(5);
  restart();
  EXPECT_EQ(revoke(RevocationKind::user, "carol")->until, now + 62 * minute) << "its session tokens live longer";
}

TEST_F(AccountTest, ALaterRevocationOfTheSameDoesNotShortenIt) {
  const int64_t minute = 60'000;
  const int64_t now = clock_.unix_ms();
  const int64_t until = revoke(RevocationKind::token, "a", now + 50 * minute)->until;
  EXPECT_EQ(revoke(RevocationKind::token, "a", now + 5 * minute)->until, until);
  restart();
  EXPECT_EQ(in_force(), 1);
  EXPECT_EQ(revoke(RevocationKind::token, "a", now + 5 * minute)->until, until);
}

TEST_F(AccountTest, WhatHasExpiredIsNotRevoked) {
  const auto refused = revoke(RevocationKind::token, "a", clock_.unix_ms() - 60'000);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().field, "expires_at");
}

TEST_F(AccountTest, ForgetsWhenEveryTokenHasExpired) {
  ASSERT_TRUE(revoke(RevocationKind::token, "a", clock_.unix_ms() + 1000).ok());
  ASSERT_TRUE(revoke(RevocationKind::token, "b").ok());
  clock_.advance(std::chrono::seconds(62));
  account_->start();
  EXPECT_TRUE(eventually(workers_.at(0), [this] { return in_force() == 1; }));
  restart();
  EXPECT_EQ(in_force(), 1);
}

TEST_F(AccountTest, TokensThatLiveTooLongAreRefusedWhereThatIsAsked) {
  options_.expectations.lifetime_max = std::chrono::seconds(600);
  restart();
  expect_refused(show(""), "no iat");
  expect_refused(show(R"(,"iat":1699999999)"), "token_ttl_max");
  EXPECT_TRUE(show(R"(,"iat":1700000000)").ok());
  EXPECT_TRUE(account_
                  ->authenticate(account_->mint_session_token(UserKey(TenantId("default"), UserId("alice")),
                                                              SessionId("s"), DeviceId(), 1'700'000'000, 1'700'086'400))
                  .ok())
      << "session tokens have a bound of their own";
}

TEST_F(AccountTest, EachChangeIsInTheAuditLogOfItsTenant) {
  ASSERT_TRUE(revoke(RevocationKind::token, "a").ok());
  ASSERT_TRUE(revoke(RevocationKind::token, "b").ok());
  finish_on(workers_.at(0), [&]() -> Task<> {
    auto page = co_await account_->audit(TenantId("default"), INT64_MAX, 1);
    EXPECT_TRUE(page.ok() && page->has_more);
    EXPECT_EQ(page->records.at(0).target, "b");
    page = co_await account_->audit(TenantId("default"), page->records.at(0).id, 1);
    EXPECT_TRUE(page.ok() && !page->has_more);
    EXPECT_EQ(page->records.at(0).target, "a");
    page = co_await account_->audit(TenantId("red"), INT64_MAX, 1);
    EXPECT_TRUE(page.ok() && page->records.empty());
  });
}

TEST_F(AccountTest, OldAuditRecordsGo) {
  ASSERT_TRUE(revoke(RevocationKind::token, "a").ok());
  clock_.advance(std::chrono::hours(25));
  account_->start();
  EXPECT_TRUE(eventually(workers_.at(0), [this] {
    return database_->read_now([](storage::Transaction& tx) -> Result<size_t> {
      return audit_before(tx, TenantId("default"), INT64_MAX, 10).size();
    }).value() == 0;
  }));
}

}  // namespace
}  // namespace tidemark::account
