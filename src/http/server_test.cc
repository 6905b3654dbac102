#include "http/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "http/server_fixture.h"

namespace tidemark::http {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

TEST_F(ServerTest, KeepsTheConnectionAndAnswersInOrder) {
  start();
  Client client(server_->port());
  client.send(request("GET /api/v1/nowhere") + request("GET /api/v1/whoami", bearer()) + request("GET /healthz") +
              request("GET /api/v1/whoami", bearer("bob")) + request("GET /nowhere"));
  EXPECT_EQ(client.answer().status, 404);
  EXPECT_THAT(client.answer().body, HasSubstr("alice"));
  EXPECT_EQ(client.answer().body, R"({"status":"ok"})");
  EXPECT_THAT(client.answer().body, HasSubstr("bob"));
  const Answer last = client.answer();
  EXPECT_EQ(last.status, 404);
  EXPECT_EQ(last.header("Content-Type"), "application/json; charset=utf-8");
  EXPECT_EQ(client.ask(request("GET /healthz")).status, 200);
}

TEST_F(ServerTest, ClosesWhenAskedTo) {
  start();
  Client closing(server_->port());
  EXPECT_EQ(closing.ask(request("GET /healthz", "Connection: close\r\n")).header("Connection"), "close");
  EXPECT_TRUE(closing.at_end());
  Client old(server_->port());
  EXPECT_EQ(old.ask("GET /healthz HTTP/1.0\r\n\r\n").status, 200);
  EXPECT_TRUE(old.at_end());
  Client kept(server_->port());
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(kept.ask("GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").header("Connection"), "keep-alive");
  }
}

TEST_F(ServerTest, HeadIsGetWithoutTheBody) {
  start();
  Client client(server_->port());
  const Answer health = client.ask(request("HEAD /healthz"), false);
  EXPECT_EQ(health.status, 200);
  EXPECT_EQ(health.header("Content-Length"), "15");
  EXPECT_EQ(client.ask(request("HEAD /api/v1/whoami", bearer()), false).status, 200);
  EXPECT_EQ(client.ask(request("GET /healthz")).body, R"({"status":"ok"})");
}

TEST_F(ServerTest, WaitsForTheBodyAfterContinue) {
  start();
  Client client(server_->port());
  const std::string head = "POST /api/v1/things HTTP/1.1\r\nHost: localhost\r\n" + bearer() +
                           "Expect: 100-continue\r\nContent-Length: 13\r\n\r\n";
  EXPECT_EQ(client.ask(head).status, 100);
  EXPECT_EQ(client.ask(R"({"title":"x"})").status, 201);
}

TEST_F(ServerTest, RefusalArrivesWhileTheClientStillSends) {
  start();
  Client client(server_->port());
  client.send("POST /api/v1/things HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\n\r\n");
  client.send(std::string(5'000'000, 'x'));
  const Answer answer = client.answer();
  EXPECT_EQ(answer.status, 413);
  EXPECT_EQ(answer.header("Connection"), "close");
  EXPECT_THAT(answer.body, HasSubstr("too_large"));
  EXPECT_TRUE(client.at_end());
}

TEST_F(ServerTest, BrokenRequestEndsTheConnectionAndWhatFollowsIsNotRun) {
  start();
  Client client(server_->port());
  client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" +
              request("GET /healthz"));
  EXPECT_EQ(client.answer().status, 400);
  EXPECT_EQ(client.answer().status, 0);
  EXPECT_TRUE(client.at_end());
}

TEST_F(ServerTest, ClosesSlowAndSilentClients) {
  start({.handshake_timeout = milliseconds(50), .idle_timeout = milliseconds(50), .body_timeout = milliseconds(50)});
  Client silent(server_->port());
  Client slow(server_->port());
  slow.send("GET /healthz HTTP/1.1\r\n");
  Client body(server_->port());
  body.send("POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nx");
  Client idle(server_->port());
  EXPECT_EQ(idle.ask(request("GET /healthz")).status, 200);
  for (Client* client : {&silent, &slow, &body, &idle}) {
    EXPECT_TRUE(client->at_end());
  }
}

TEST_F(ServerTest, SlowReaderGetsALargeAnswerWhole) {
  start();
  Client client(server_->port(), 4096);
  client.send(request("GET /api/v1/big?bytes=8000000", bearer()) + request("GET /healthz"));
  EXPECT_EQ(client.answer().body.size(), 8'000'000 + 48u);
  EXPECT_EQ(client.answer().body, R"({"status":"ok"})");
}

TEST_F(ServerTest, ClientMayLeaveWhileItsRequestIsHandled) {
  start();
  for (int i = 0; i < 50; ++i) {
    Client client(server_->port());
    client.send(request("GET /api/v1/big?bytes=1000000", bearer()));
    client.close();
  }
  // Each is handled to its end although nobody reads the answer.
  const Counter& answered = metrics_.counter("tidemark_http_requests_total", "", {{"status", "2xx"}});
  Client other(server_->port());
  while (answered.value() < 50) {
    ASSERT_EQ(other.ask(request("GET /nowhere")).status, 404);
  }
}

TEST_F(ServerTest, HandsUpgradesOverWithWhatCameBehindThem) {
  ServerHooks hooks;
  hooks.upgrade = [](Upgrade upgrade) {
    const std::string seen = std::string(upgrade.head.target()) + "|" + std::string(upgrade.head["X-Test"]) + "|" +
                             upgrade.early_bytes + "|" + upgrade.client_ip;
    const std::string text = refusal(401, "unauthorized", seen);
    upgrade.socket.write_some(text);
  };
  start({}, hooks);
  Client client(server_->port());
  EXPECT_EQ(client.ask(request("GET /healthz")).status, 200);
  const Answer answer = client.ask(request("GET /api/v1/ws/c%6Fnnect?x=1", "X-Test: a\r\n") + "early");
  EXPECT_EQ(answer.status, 401);
  EXPECT_THAT(answer.body, HasSubstr("\"/api/v1/ws/c%6Fnnect?x=1|a|early|127.0.0.1\""));
  EXPECT_THAT(ask(request("POST /ws")).body, HasSubstr("\"/ws|||127.0.0.1\""));
}

TEST_F(ServerTest, DrainClosesIdleConnectionsAndTheOthersAfterTheirAnswer) {
  start();
  Client idle(server_->port());
  EXPECT_EQ(idle.ask(request("GET /healthz")).status, 200);
  Client busy(server_->port());
  EXPECT_EQ(busy.ask(request("GET /healthz")).header("Connection"), "");
  busy.send("GET /hea");
  // Two answers on each worker's connections later, the bytes before them have been read.
  for (int i = 0; i < 4; ++i) {
    ask(request("GET /healthz"));
  }
  server_->begin_drain();
  EXPECT_TRUE(idle.at_end());
  const Answer last = busy.ask("lthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(last.status, 200);
  EXPECT_EQ(last.header("Connection"), "close");
  EXPECT_TRUE(busy.at_end());
}

TEST_F(ServerTest, OneConnectionTooManyIsRefused) {
  start({.connections_max = 2});
  Client first(server_->port());
  Client second(server_->port());
  EXPECT_EQ(first.ask(request("GET /healthz")).status, 200);
  EXPECT_EQ(second.ask(request("GET /healthz")).status, 200);
  Client third(server_->port());
  const Answer answer = third.answer();
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.header("Retry-After"), "1");
  EXPECT_EQ(first.ask(request("GET /healthz")).status, 200);
}

TEST_F(ServerTest, BodiesBeyondTheMemoryForThemAreRefused) {
  start({.bodies_bytes_max = 1000});
  Client holding(server_->port());
  EXPECT_EQ(holding.ask("POST /api/v1/things HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
                        "Content-Length: 990\r\n\r\n")
                .status,
            100);
  EXPECT_EQ(ask(request("POST /api/v1/things", "", "0123456789x")).status, 503);
  EXPECT_EQ(ask(request("POST /api/v1/things", "", "0123456789")).status, 401);
  holding.close();
}

TEST_F(ServerTest, DevModeAnswersOnlyToLoopbackNames) {
  std::atomic<bool> upgraded{false};
  ServerHooks hooks;
  hooks.upgrade = [&upgraded](Upgrade) { upgraded = true; };
  start({.loopback_hosts_only = true}, hooks);
  EXPECT_EQ(ask("GET /healthz HTTP/1.1\r\nHost: [::1]:80\r\n\r\n").status, 200);
  EXPECT_EQ(ask("GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n").status, 403);
  EXPECT_EQ(ask("GET /ws HTTP/1.1\r\nHost: evil.example\r\n\r\n").status, 403);
  EXPECT_EQ(ask("GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 403);
  EXPECT_EQ(ask("GET /healthz HTTP/1.0\r\n\r\n").status, 403);
  EXPECT_FALSE(upgraded);
}

TEST_F(ServerTest, StopsListening) {
  start();
  Client client(server_->port());
  EXPECT_EQ(client.ask(request("GET /healthz")).status, 200);
  server_->stop_listening();
  bool refused = false;
  for (int i = 0; i < 100'000 && !refused; ++i) {
    refused = !Client(server_->port(), Client::MayFail{}).connected();
  }
  EXPECT_TRUE(refused);
  EXPECT_EQ(client.ask(request("GET /healthz")).status, 200);
}

TEST_F(ServerTest, SaysWhyItCannotListen) {
  start();
  Server other(workers_, metrics_, &table_, rest_.get(), {}, {});
  EXPECT_THAT(other.listen("no address", 0).error().text, HasSubstr("no address"));
  EXPECT_THAT(other.listen("127.0.0.1", server_->port()).error().text, HasSubstr("in use"));
  EXPECT_EQ(other.port(), 0);
}

TEST_F(ServerTest, MetricsListenerShowsMetricsAndNothingElse) {
  start({.metrics_only = true}, {.readiness = [] { return Readiness{false, R"({"storage":"down"})"}; }});
  EXPECT_EQ(ask(request("GET /healthz")).status, 200);
  const Answer ready = ask(request("GET /readyz"));
  EXPECT_EQ(ready.status, 503);
  EXPECT_EQ(ready.body, R"({"storage":"down"})");
  EXPECT_THAT(ask(request("GET /metrics")).body, HasSubstr("tidemark_http_requests_total{status=\"2xx\"} 1"));
  for (const char* path : {"/", "/demo", "/openapi.json", "/api/v1/whoami", "/ws"}) {
    EXPECT_EQ(ask(request("GET " + std::string(path))).status, 404) << path;
  }
}

TEST_F(ServerTest, ServesPlainPages) {
  start();
  EXPECT_EQ(ask(request("GET /readyz")).body, R"({"status":"ok"})");
  EXPECT_EQ(ask(request("GET /openapi.json")).status, 200);
  EXPECT_EQ(ask(request("GET /api/v1/openapi.json")).status, 200);
  EXPECT_EQ(ask(request("POST /healthz")).header("Allow"), "GET, HEAD");
  for (const char* path : {"/", "/demo", "/demo/index.html", "/metrics", "/%00", "/..%2f..%2fetc/passwd"}) {
    EXPECT_EQ(ask(request("GET " + std::string(path))).status, 404) << path;
  }
  EXPECT_EQ(ask(request("GET /%zz")).status, 400);
}

TEST_F(ServerTest, ServesTheDemoWhereItIsWanted) {
  start({.demo = true});
  const Answer page = ask(request("GET /demo"));
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.header("Content-Type"), "text/html; charset=utf-8");
  EXPECT_THAT(page.header("Content-Security-Policy"), HasSubstr("frame-ancestors 'none'"));
  EXPECT_THAT(ask(request("GET /demo/documents")).body, HasSubstr("<title>Tidemark documents</title>"));
  EXPECT_EQ(ask(request("GET /")).header("Location"), "/demo");
  EXPECT_EQ(ask(request("GET /demo/../server.h")).status, 404);
}

}  // namespace
}  // namespace tidemark::http
