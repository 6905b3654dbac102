#include "command/table.h"

#include <gtest/gtest.h>

#include "core/worker_fixture.h"

namespace tidemark::command {
namespace {

RateTable table_of(RateOptions options) {
  RateTable table;
  table.fill(options);
  return table;
}

class CommandTable : public ::testing::Test {
 protected:
  CommandTable() {
    clock_.advance(std::chrono::seconds(1));
    add("message", "POST", "/messages", Access::user, Rate::durable);
    add("", "GET", "/messages/{message_id}");
    add("", "PATCH", "/messages/{message_id}");
    add("", "GET", "/messages/search");
    add("", "PUT", "/conversations/{conversation_id}/members/{user_id}");
    add("", "GET", "/conversations/{conversation_id}/members", Access::scope);
    add("typing", "", "");
    table_.freeze();
    workers_.start();
  }

  void add(std::string_view type, std::string_view method, std::string_view path, Access access = Access::user,
           Rate rate = Rate::none) {
    Row row;
    row.type = type;
    row.method = method;
    row.path = path;
    row.access = access;
    row.rate = rate;
    row.handler = [this](Caller, Request) -> Task<Result<Reply>> {
      co_await workers_.at(1).enter();
      ++handled_;
      co_return Reply{};
    };
    table_.add(std::move(row));
  }
  std::string found(std::string_view method, std::string_view path) {
    const auto match = table_.by_path(method, path);
    return match.row == nullptr ? "none, allowed: " + match.allowed : std::string(match.row->path);
  }
  // "handled", "limited", or the field that is wrong.
  std::string run(const Row& row, const Caller& caller) {
    std::string answer;
    finish_on(workers_.at(0), [&]() -> Task<> {
      Request request(row.fields);
      const auto reply = co_await table_.run(row, caller, std::move(request));
      EXPECT_EQ(Worker::current(), &workers_.at(0));
      if (reply.ok()) {
        answer = "handled";
      } else if (reply.error().code == Code::rate_limited) {
        EXPECT_EQ(reply.error().retry_after_ms, 500);
        answer = "limited";
      } else {
        answer = reply.error().field;
      }
    });
    return answer;
  }

  ManualClock clock_;
  WorkerPool workers_{2, clock_};
  MetricRegistry metrics_;
  RateLimiter limiter_{workers_, table_of({.per_second = 2, .burst = 3}), metrics_};
  Table table_{limiter_, clock_};
  int handled_ = 0;
};

TEST_F(CommandTable, FindsByType) {
  EXPECT_EQ(table_.by_type("message")->path, "/messages");
  EXPECT_EQ(table_.by_type("typing")->method, "");
  EXPECT_EQ(table_.by_type("Message"), nullptr);
  EXPECT_EQ(table_.by_type(""), nullptr);
}

TEST_F(CommandTable, FindsLiteralsBeforeVariables) {
  EXPECT_EQ(found("GET", "/messages/search"), "/messages/search");
  EXPECT_EQ(found("GET", "/messages/c.7"), "/messages/{message_id}");
  EXPECT_EQ(found("PATCH", "/messages/search"), "/messages/{message_id}");
}

TEST_F(CommandTable, NamesTheMethodsOfAPath) {
  EXPECT_EQ(found("DELETE", "/messages/x"), "none, allowed: GET, PATCH");
  EXPECT_EQ(found("POST", "/messages/search"), "none, allowed: GET, PATCH");
  EXPECT_EQ(found("GET", "/messages"), "none, allowed: POST");
  EXPECT_EQ(found("get", "/messages/x"), "none, allowed: GET, PATCH");
}

TEST_F(CommandTable, KnowsNoOtherPaths) {
  for (const char* const path :
       {"", "/", "/message", "/messages/", "/messages/a/b", "//messages", "messagesx", "/conversations//members",
        "/conversations/a/members/", "/messages/%zz", "/messages/%4"}) {
    EXPECT_EQ(found("GET", path), "none, allowed: ") << path;
  }
}

TEST_F(CommandTable, DecodesPathValuesAfterSplitting) {
  const auto match = table_.by_path("PUT", "/conversations/a%2Fb/members/%C3%A4+%20");
  ASSERT_NE(match.row, nullptr);
  ASSERT_EQ(match.path_values.size(), 2u);
  EXPECT_EQ(match.path_values[0].first, "conversation_id");
  EXPECT_EQ(match.path_values[0].second, "a/b");
  EXPECT_EQ(match.path_values[1].first, "user_id");
  EXPECT_EQ(match.path_values[1].second, "\xc3\xa4+ ");
}

TEST_F(CommandTable, RunsTheHandlerAndComesBack) {
  Caller caller;
  caller.user = UserId("alice");
  EXPECT_EQ(run(*table_.by_type("typing"), caller), "handled");
  EXPECT_EQ(handled_, 1);
}

TEST_F(CommandTable, AServiceMustNameAUserWhereOneIsNeeded) {
  Caller service;
  service.service = true;
  EXPECT_EQ(run(*table_.by_type("typing"), service), "Tidemark-User");
  EXPECT_EQ(handled_, 0);
  EXPECT_EQ(run(*table_.by_path("GET", "/conversations/c/members").row, service), "handled");
}

TEST_F(CommandTable, LimitsDurableCommandsOfAUser) {
  Caller alice;
  alice.user = UserId("alice");
  const Row& message = *table_.by_type("message");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(run(message, alice), "handled");
  }
  EXPECT_EQ(run(message, alice), "limited");
  EXPECT_EQ(run(*table_.by_type("typing"), alice), "handled");
  Caller bob;
  bob.user = UserId("bob");
  EXPECT_EQ(run(message, bob), "handled");
  clock_.advance(std::chrono::milliseconds(500));
  EXPECT_EQ(run(message, alice), "handled");
  EXPECT_EQ(run(message, alice), "limited");
}

TEST_F(CommandTable, DoesNotLimitAService) {
  Caller service;
  service.service = true;
  service.user = UserId("alice");
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(run(*table_.by_type("message"), service), "handled");
  }
}

TEST_F(CommandTable, UsesTheBucketThatTheDoorHas) {
  Caller alice;
  alice.user = UserId("alice");
  const RateRules slower(table_of({.per_second = 2, .burst = 1}), metrics_);
  alice.rates = std::make_shared<UserRates>(slower);
  EXPECT_EQ(run(*table_.by_type("message"), alice), "handled");
  EXPECT_EQ(run(*table_.by_type("message"), alice), "limited");
}

TEST(PercentDecode, DecodesAllBytes) {
  EXPECT_EQ(percent_decode("a%41%7a%2f%2F", false), "aAz//");
  EXPECT_EQ(percent_decode("%00%ff", false), std::string("\0\xff", 2));
  EXPECT_EQ(percent_decode("", false), "");
  EXPECT_EQ(percent_decode("a+b", false), "a+b");
  EXPECT_EQ(percent_decode("a+b%2B", true), "a b+");
}

TEST(PercentDecode, RefusesBrokenEscapes) {
  for (const char* const text : {"%", "%4", "a%", "%g0", "%0g", "%%41", "% 1", "%-1", "%4\xe1"}) {
    EXPECT_EQ(percent_decode(text, false), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace tidemark::command
