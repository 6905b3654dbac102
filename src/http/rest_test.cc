#include "http/rest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/server_fixture.h"

namespace tidemark::http {
namespace {

using testing::HasSubstr;

TEST_F(ServerTest, RefusesInTheOrderPathMethodTokenBody) {
  start();
  EXPECT_EQ(ask(request("GET /api/v1/nowhere")).status, 404);
  EXPECT_EQ(ask(request("GET /api/v1")).status, 404);
  const Answer method = ask(request("DELETE /api/v1/whoami"));
  EXPECT_EQ(method.status, 405);
  EXPECT_EQ(method.header("Allow"), "GET, HEAD");
  EXPECT_THAT(method.body, HasSubstr("method_not_allowed"));
  const Answer token = ask(request("POST /api/v1/things", "", "{"));
  EXPECT_EQ(token.status, 401);
  EXPECT_EQ(token.header("WWW-Authenticate"), "Bearer");
  EXPECT_THAT(ask(request("POST /api/v1/things", bearer(), "{")).body, HasSubstr("\"error\":\"invalid_json\""));
  EXPECT_THAT(ask(request("POST /api/v1/things", bearer(), "[]")).body, HasSubstr("\"error\":\"invalid_frame\""));
  EXPECT_THAT(ask(request("POST /api/v1/things", bearer())).body, HasSubstr("\"field\":\"title\""));
}

TEST_F(ServerTest, SuccessSaysWhetherSomethingWasCreated) {
  start();
  const Answer created = ask(request("POST /api/v1/things", bearer(), R"({"title":"abc"})"));
  EXPECT_EQ(created.status, 201);
  EXPECT_EQ(created.body, R"({"code":201,"message":"Success","data":{"bytes":3}})");
  EXPECT_EQ(created.header("Cache-Control"), "no-store");
  EXPECT_EQ(created.header("X-Content-Type-Options"), "nosniff");
}

TEST_F(ServerTest, TokenMayBeInTheHeaderOrTheQuery) {
  start();
  const std::string alice = token("alice");
  EXPECT_EQ(ask(request("GET /api/v1/whoami", "Authorization: bearer " + alice + "\r\n")).status, 200);
  EXPECT_EQ(ask(request("GET /api/v1/whoami?token=" + alice)).status, 200);
  EXPECT_EQ(ask(request("GET /api/v1/whoami", "Authorization: Basic " + alice + "\r\n")).status, 401);
  EXPECT_EQ(ask(request("GET /api/v1/whoami", "Authorization: Bearer\r\n")).status, 401);
  EXPECT_EQ(ask(request("GET /api/v1/whoami", "Authorization: Bearer " + alice + "x\r\n")).status, 401);
  EXPECT_EQ(ask(request("GET /api/v1/whoami", bearer() + bearer())).status, 401);
}

TEST_F(ServerTest, OnlyAServiceActsForSomebodyElse) {
  start();
  const std::string service = bearer("backend", {"service"});
  EXPECT_THAT(ask(request("GET /api/v1/whoami", service)).body, HasSubstr(R"("user":"","session":"","service":true)"));
  EXPECT_THAT(ask(request("GET /api/v1/whoami", service + "Tidemark-User: b o b\r\n")).body,
              HasSubstr(R"("user":"b o b")"));
  const Answer nobody = ask(request("POST /api/v1/things", service, R"({"title":"x"})"));
  EXPECT_EQ(nobody.status, 400);
  EXPECT_THAT(nobody.body, HasSubstr("\"field\":\"Tidemark-User\""));
  const std::string long_id = "Tidemark-User: " + std::string(129, 'x') + "\r\n";
  EXPECT_EQ(ask(request("GET /api/v1/whoami", service + long_id)).status, 400);
  EXPECT_EQ(ask(request("GET /api/v1/whoami", service + "Tidemark-User:\r\n")).status, 400);
  EXPECT_EQ(ask(request("GET /api/v1/whoami", service + "Tidemark-User: a\r\nTidemark-User: b\r\n")).status, 400);
  EXPECT_EQ(ask(request("GET /api/v1/whoami", bearer() + "Tidemark-User: alice\r\n")).status, 403);
}

TEST_F(ServerTest, ACallWithoutATokenIsNobodysWhateverUserItNames) {
  start();
  EXPECT_EQ(ask(request("GET /api/v1/whoami", "Tidemark-User: alice\r\n")).status, 401);
}

TEST_F(ServerTest, InDevModeACallWithoutATokenIsThatOfTheUserItNames) {
  rest_ = std::make_unique<Rest>(table_, *sessions_, true);
  start();
  EXPECT_THAT(ask(request("GET /api/v1/whoami", "Tidemark-User: alice\r\n")).body,
              HasSubstr(R"("user":"alice","session":"","service":false)"));
  EXPECT_EQ(ask(request("GET /api/v1/whoami")).status, 401);
  EXPECT_EQ(ask(request("GET /api/v1/whoami", "Tidemark-User:\r\n")).status, 401);
  EXPECT_EQ(ask(request("GET /api/v1/whoami", bearer() + "Tidemark-User: bob\r\n")).status, 403);
  EXPECT_EQ(ask(request("GET /api/v1/whoami", "Authorization: Bearer x\r\nTidemark-User: bob\r\n")).status, 401);
  EXPECT_EQ(ask(request("GET /api/v1/whoami?token=x", "Tidemark-User: bob\r\n")).status, 401);
}

TEST_F(ServerTest, SessionTokenDiesWithItsSession) {
  start();
  const Answer created = ask(request("POST /api/v1/sessions", bearer(), "{}"));
  ASSERT_EQ(created.status, 201);
  simdjson::dom::parser parser;
  const simdjson::dom::element body = parser.parse(created.body).value();
  const std::string own = std::string("Authorization: Bearer ") + body["data"]["token"].get_c_str().value() + "\r\n";
  const std::string id = body["data"]["session"]["session_id"].get_c_str().value();
  EXPECT_THAT(ask(request("GET /api/v1/whoami", own)).body, HasSubstr("\"session\":\"" + id + "\""));
  EXPECT_EQ(ask(request("DELETE /api/v1/sessions/" + id, own)).status, 200);
  EXPECT_EQ(ask(request("GET /api/v1/whoami", own)).status, 401);
}

TEST_F(ServerTest, RateLimitSaysWhenToComeBack) {
  start();
  const Answer answer = ask(request("GET /api/v1/limited", bearer()));
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.header("Retry-After"), "2");
  EXPECT_THAT(answer.body, HasSubstr("\"retry_after_ms\":1500"));
}

TEST_F(ServerTest, AnswersAllowedOriginsOnly) {
  start({.allowed_origins = {"https://app.example"}});
  const std::string preflight = "Access-Control-Request-Method: POST\r\nOrigin: ";
  const Answer good = ask(request("OPTIONS /api/v1/things", preflight + "https://app.example\r\n"));
  EXPECT_EQ(good.status, 204);
  EXPECT_EQ(good.header("Access-Control-Allow-Origin"), "https://app.example");
  EXPECT_THAT(good.header("Access-Control-Allow-Methods"), HasSubstr("POST"));
  EXPECT_THAT(good.header("Access-Control-Allow-Headers"), HasSubstr("Authorization"));
  EXPECT_EQ(good.header("Vary"), "Origin");
  for (const char* origin : {"http://app.example", "https://app.example.evil", "https://app.example:443", "null", ""}) {
    const Answer bad = ask(request("OPTIONS /api/v1/things", preflight + origin + "\r\n"));
    EXPECT_EQ(bad.status, 405);
    EXPECT_EQ(bad.header("Access-Control-Allow-Origin"), "");
  }
  const Answer refused = ask(request("GET /api/v1/whoami", "Origin: https://app.example\r\n"));
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.header("Access-Control-Allow-Origin"), "https://app.example");
}

}  // namespace
}  // namespace tidemark::http
