#include "http/response.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/server.h"

namespace tidemark::http {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(Response, SuccessHasItsEnvelope) {
  command::Reply reply;
  EXPECT_EQ(success(reply).body, R"({"code":200,"message":"Success","data":{}})");
  reply.created = true;
  reply.data = R"({"a":1})";
  EXPECT_EQ(success(reply).body, R"({"code":201,"message":"Success","data":{"a":1}})");
  EXPECT_EQ(success(reply).status, 201);
}

TEST(Response, FailureSaysWhatTheErrorSays) {
  EXPECT_EQ(failure(fail(Code::not_found)).body, R"({"code":404,"message":"not found","error":"not_found"})");
  EXPECT_EQ(failure(invalid_field("to", "no \"id\"")).body,
            R"({"code":400,"message":"no \"id\"","error":"invalid_field","field":"to"})");
  const Response limited = failure(Error{Code::rate_limited, {}, {}, 1001});
  EXPECT_EQ(limited.body, R"({"code":429,"message":"too fast","error":"rate_limited","retry_after_ms":1001})");
  EXPECT_THAT(serialize(limited, {}), HasSubstr("\r\nRetry-After: 2\r\n"));
  EXPECT_THAT(serialize(failure(fail(Code::unavailable)), {}), HasSubstr("\r\nRetry-After: 1\r\n"));
  EXPECT_THAT(serialize(failure(fail(Code::unauthorized)), {}), HasSubstr("\r\nWWW-Authenticate: Bearer\r\n"));
}

TEST(Response, IsFramed) {
  Response response;
  response.body = "{}";
  Framing framing;
  framing.unix_seconds = 784111777;
  EXPECT_EQ(serialize(response, framing),
            "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
            "Content-Type: application/json; charset=utf-8\r\n"
            "Content-Length: 2\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\r\n{}");
  framing.head_only = true;
  framing.close = true;
  EXPECT_THAT(serialize(response, framing), EndsWith("Connection: close\r\n\r\n"));
  EXPECT_THAT(serialize(response, framing), HasSubstr("Content-Length: 2\r\n"));
  Response empty;
  empty.status = 204;
  EXPECT_THAT(serialize(empty, {}), Not(HasSubstr("Content-Length")));
}

TEST(Response, RefusalIsWhole) {
  const std::string text = refusal(426, "invalid_frame", "speak WebSocket", {{"Upgrade", "websocket"}});
  EXPECT_THAT(text, StartsWith("HTTP/1.1 426 Upgrade Required\r\n"));
  EXPECT_THAT(text, HasSubstr("\r\nUpgrade: websocket\r\n"));
  EXPECT_THAT(text, HasSubstr("\r\nConnection: close\r\n"));
  EXPECT_THAT(text, EndsWith("\r\n\r\n{\"code\":426,\"message\":\"speak WebSocket\",\"error\":\"invalid_frame\"}"));
}

}  // namespace
}  // namespace tidemark::http
