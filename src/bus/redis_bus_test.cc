// What only Redis can do to a bus; against a real server.
#include "bus/redis_bus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <future>
#include <sstream>

#include "bus/bus_fixture.h"
#include "bus/redis_fixture.h"
#include "bus/redis_link.h"
#include "core/log.h"

namespace tidemark::bus {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class RedisBusTest : public ::testing::Test {
 protected:
  RedisBusTest() { ::signal(SIGPIPE, SIG_IGN); }

  // A node that hears channel "x" of this server.
  void start(const RedisServer& server) {
    node_ = std::make_unique<Node>("b", target_of(server.url()));
    node_->subscribe("x", heard_);
    ASSERT_TRUE(node_->is_live(heard_));
    ASSERT_TRUE(node_->becomes(State::up));
  }
  // Another node says something, and it is heard.
  void expect_heard(const RedisServer& server, const std::string& text) {
    Node other("a", target_of(server.url()));
    ASSERT_TRUE(other.becomes(State::up));
    other.publish("x", text);
    EXPECT_TRUE(eventually(node_->worker(0), [&] {
      return std::find(heard_.payloads.begin(), heard_.payloads.end(), text) != heard_.payloads.end();
    }));
  }

  Heard heard_;
  std::unique_ptr<Node> node_;
};

TEST_F(RedisBusTest, ASubscriberThatRedisCutIsToldAndHearsAgain) {
  const RedisServer server;
  start(server);
  EXPECT_EQ(node_->gaps(), 0u);
  EXPECT_THAT(server.cli("CLIENT KILL TYPE pubsub"), HasSubstr("1")) << "one worker has subscriptions";
  EXPECT_TRUE(node_->is_live(heard_, 2));
  EXPECT_EQ(node_->gaps(), 1u);
  EXPECT_TRUE(node_->becomes(State::up));
  expect_heard(server, "again");
}

TEST_F(RedisBusTest, APublisherThatRedisCutComesBack) {
  const RedisServer server;
  start(server);
  Node other("a", target_of(server.url()));
  ASSERT_TRUE(other.becomes(State::up));
  server.cli("CLIENT KILL TYPE normal");
  EXPECT_TRUE(eventually(other.worker(0), [&] {
    other.bus().publish("x", "again");
    return run_on(node_->worker(0), [&] { return !heard_.payloads.empty(); });
  }));
}

// A server that stands still answers nothing and closes nothing.
TEST_F(RedisBusTest, AFrozenServerIsNoticed) {
  RedisServer server;
  start(server);
  server.pause();
  EXPECT_TRUE(node_->becomes(State::degraded));
  // All the others notice as well.
  EXPECT_TRUE(eventually(node_->worker(0), [&] { return node_->gaps() == 2; }));
  server.resume();
  EXPECT_TRUE(node_->is_live(heard_, 2));
  EXPECT_TRUE(node_->becomes(State::up));
  expect_heard(server, "again");
}

TEST_F(RedisBusTest, ASubscriberThatIsTooSlowIsCutAndToldSo) {
  const RedisServer server({"client-output-buffer-limit pubsub 1mb 1mb 0"});
  start(server);
  std::promise<void> go_on;
  std::promise<void> stands;
  node_->worker(0).post([&stands, wait = go_on.get_future().share()] {
    stands.set_value();
    wait.wait();
  });
  stands.get_future().wait();
  // More than the kernel keeps for a socket.
  server.cli(
      R"sh(EVAL "for i=1,100 do redis.call('SPUBLISH', KEYS[1], string.rep('x', 1000000)) end" 1 tidemark:0:x)sh");
  go_on.set_value();
  EXPECT_TRUE(node_->is_live(heard_, 2));
  EXPECT_GE(node_->gaps(), 1u);
  expect_heard(server, "again");
}

TEST_F(RedisBusTest, WhatIsPublishedFasterThanItGoesIsDroppedAndCounted) {
  const RedisServer server;
  start(server);
  Node other("a", target_of(server.url()));
  ASSERT_TRUE(other.becomes(State::up));
  const std::string large(kPayloadBytesMax, 'x');
  run_on(other.worker(0), [&] {
    for (int i = 0; i < 20; ++i) {
      other.bus().publish("x", large);  // nothing is written before the turn's end
    }
  });
  EXPECT_EQ(other.dropped("full"), 20 - RedisLink::kOutputBytesMax / kPayloadBytesMax + 1) << "each is a little more";
  other.publish("x", "the end");
  EXPECT_TRUE(
      eventually(node_->worker(0), [&] { return !heard_.payloads.empty() && heard_.payloads.back() == "the end"; }));
  EXPECT_EQ(run_on(node_->worker(0), [&] { return heard_.payloads.size(); }), 8u);
}

TEST_F(RedisBusTest, WhatNoNodeWroteIsIgnoredAndCounted) {
  const RedisServer server;
  start(server);
  const auto publish = [&server](const std::string& lua) {
    server.cli(R"sh(EVAL "redis.call('SPUBLISH', KEYS[1], )sh" + lua + R"sh()" 1 tidemark:0:x)sh");
  };
  publish("'hello'");
  publish(R"('\2anything')");
  publish("''");
  publish(R"('\1')");
  publish(R"('\1' .. string.rep('\0', 8) .. '\1n' .. string.rep('x', 1024*1024+1))");
  expect_heard(server, "real");
  EXPECT_EQ(node_->ignored("version"), 2u) << "'h' and 2";
  EXPECT_EQ(node_->ignored("malformed"), 3u);
  EXPECT_EQ(run_on(node_->worker(0), [&] { return heard_.payloads.size(); }), 1u);
  EXPECT_EQ(node_->gaps(), 0u);
}

TEST_F(RedisBusTest, AMessageThatIsTooLargeToBeReadCostsTheConnectionAndNoMemory) {
  const RedisServer server;
  start(server);
  server.cli(R"sh(EVAL "redis.call('SPUBLISH', KEYS[1], string.rep('x', 17*1024*1024))" 1 tidemark:0:x)sh");
  EXPECT_TRUE(node_->is_live(heard_, 2));
  expect_heard(server, "again");
}

TEST_F(RedisBusTest, DatabasesOfOneServerDoNotHearOneAnother) {
  const RedisServer server;
  start(server);
  Node stranger("c", target_of(server.url() + "/5"));
  ASSERT_TRUE(stranger.becomes(State::up));
  stranger.publish("x", "of another installation");
  expect_heard(server, "ours");
  EXPECT_EQ(run_on(node_->worker(0), [&] { return heard_.payloads.size(); }), 1u);
}

TEST_F(RedisBusTest, ARestartedNodeHearsWhatItsFormerSelfSaid) {
  const RedisServer server;
  start(server);  // "b", boot 7
  const SystemClock clock;
  SystemRandom random;
  MetricRegistry metrics;
  WorkerPool workers(1, clock);
  RedisBus former(workers, target_of(server.url()), Identity{"b", 6}, random, metrics);
  former.start();
  workers.start();
  ASSERT_TRUE(eventually(workers.at(0), [&] { return former.state() == State::up; }));
  run_on(workers.at(0), [&] { former.publish("x", "last words"); });
  EXPECT_TRUE(node_->hears(heard_, 1));
  workers.stop_and_join();
}

class RedisPasswords : public RedisBusTest {
 protected:
  RedisPasswords() { log_setup(LogLevel::info, LogFormat::text, &log_); }
  ~RedisPasswords() override {
    node_.reset();
    log_setup(LogLevel::info, LogFormat::text);
  }

  std::ostringstream log_;
};

TEST_F(RedisPasswords, TheRightOneIsLetIn) {
  const RedisServer server({"user ann on >right:pass allcommands allchannels allkeys", "requirepass other"});
  const std::string address = "127.0.0.1:" + std::to_string(server.port());
  Node by_name("a", target_of("redis://ann:right%3Apass@" + address + "/2"));
  Node by_default("b", target_of("redis://:other@" + address));
  EXPECT_TRUE(by_name.becomes(State::up));
  EXPECT_TRUE(by_default.becomes(State::up));
}

TEST_F(RedisPasswords, AWrongOneIsToldInTheLogWithoutIt) {
  const RedisServer server({"requirepass right"});
  const std::string address = "127.0.0.1:" + std::to_string(server.port());
  {
    Node wrong("a", target_of("redis://ann:hidden-one@" + address));
    Node none("b", target_of("redis://" + address));
    Node right("c", target_of("redis://:right@" + address));
    ASSERT_TRUE(right.becomes(State::up));
    // Each of a node's four connections has been refused once when there were more refusals than that, and has said so
    // when it was refused again.
    for (const char* const refusal : {"errorstat_WRONGPASS:count=", "errorstat_NOAUTH:count="}) {
      EXPECT_TRUE(eventually(right.worker(0), [&] {
        const std::string stats = server.cli("-a right --no-auth-warning INFO errorstats");
        const size_t at = stats.find(refusal);
        return at != std::string::npos && std::stoi(stats.substr(at + std::strlen(refusal))) > 4;
      }));
    }
    EXPECT_EQ(wrong.bus().state(), State::degraded);
    EXPECT_EQ(none.bus().state(), State::degraded);
    wrong.publish("x", "1");
    EXPECT_EQ(wrong.dropped("away"), 1u);
  }
  EXPECT_THAT(log_.str(),
              AllOf(HasSubstr("WRONGPASS"), HasSubstr("NOAUTH"), HasSubstr("redis.url"), Not(HasSubstr("hidden"))));
}

TEST_F(RedisBusTest, IsHeardOverTls) {
  Heard heard;
  const RedisTlsServer server;
  Node a("a", target_of(server.url()));
  Node b("b", target_of(server.url()));
  ASSERT_TRUE(a.becomes(State::up) && b.becomes(State::up));
  b.subscribe("x", heard);
  ASSERT_TRUE(b.is_live(heard));
  const std::string large(500'000, 'x');
  a.publish("x", large);
  a.publish("x", "small");
  EXPECT_TRUE(b.hears(heard, 2));
  EXPECT_TRUE(b.payloads(heard) == (std::vector<std::string>{large, "small"}));
}

}  // namespace
}  // namespace tidemark::bus
