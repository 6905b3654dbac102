// Commands to a real Redis that answers, stands still, restarts, and fails over.
#include "bus/redis_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bus/redis_fixture.h"
#include "core/worker_fixture.h"

namespace tidemark::bus {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using Kind = Reply::Kind;

class RedisClientTest : public ::testing::Test {
 protected:
  RedisClientTest() {
    ::signal(SIGPIPE, SIG_IGN);
    workers_.start();
  }
  ~RedisClientTest() override {
    stop();
    workers_.stop_and_join();
  }

  void start(const std::shared_ptr<const RedisTarget>& target) {
    client_ = std::make_unique<RedisClient>(workers_, target, random_, metrics_);
    client_->start();
  }
  void stop() {
    if (client_ != nullptr) {
      client_->stop();
      settle(workers_);
    }
  }

  Result<Reply> call(const Command& command) {
    std::optional<Result<Reply>> got;
    finish_on(worker_, [&]() -> Task<> { got.emplace(co_await client_->call(command)); });
    return *got;
  }
  Result<Reply> run(const RedisScript& script, std::vector<std::string> keys, std::vector<std::string> arguments) {
    std::optional<Result<Reply>> got;
    finish_on(worker_, [&]() -> Task<> { got.emplace(co_await client_->run(script, keys, arguments)); });
    return *got;
  }
  // Asks again and again until there is an answer. Not from a worker: each call waits for its own end.
  bool answers(const Command& command) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (std::chrono::steady_clock::now() < end) {
      if (call(command).ok()) {
        return true;
      }
    }
    return false;
  }
  bool is_refusing() {
    return run_on(worker_, [this] { return client_->is_refusing(); });
  }
  uint64_t calls(const char* outcome) {
    return metrics_.counter("tidemark_redis_calls_total", "", {{"outcome", outcome}}).value();
  }

  SystemClock clock_;
  SystemRandom random_;
  MetricRegistry metrics_;
  WorkerPool workers_{2, clock_};
  Worker& worker_ = workers_.at(0);
  std::unique_ptr<RedisClient> client_;
};

TEST_F(RedisClientTest, AnswersWhatRedisAnswers) {
  const RedisServer server;
  start(target_of(server.url() + "/3"));
  EXPECT_TRUE(call(Command("GET", "k"))->is(Kind::nil));
  EXPECT_EQ(call(Command("SET", "k", std::string("a\0b", 3), "PX", 60'000))->text, "OK");
  EXPECT_EQ(call(Command("GET", "k"))->text, std::string("a\0b", 3));
  EXPECT_EQ(call(Command("INCRBY", "n", -3))->integer, -3);
  EXPECT_EQ(call(Command("MGET", "n", "k", "none"))->elements.size(), 3u);
  EXPECT_THAT(server.cli("-n 3 EXISTS k"), HasSubstr("1")) << "in the database of the URL";
  EXPECT_EQ(calls("answered"), 5u);
}

TEST_F(RedisClientTest, AnErrorOfRedisIsAnError) {
  const RedisServer server;
  start(target_of(server.url()));
  ASSERT_TRUE(call(Command("SET", "k", "text")).ok());
  const auto wrong = call(Command("LPUSH", "k", "x"));
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().code, Code::internal);
  EXPECT_THAT(wrong.error().text, HasSubstr("WRONGTYPE"));
  for (int i = 0; i < 10; ++i) {
    EXPECT_FALSE(call(Command("LPUSH", "k", "x")).ok());
  }
  EXPECT_FALSE(is_refusing()) << "Redis answers";
  EXPECT_EQ(calls("refused"), 11u);
}

TEST_F(RedisClientTest, ManyCallsAtOnceGetEachItsOwnReply) {
  constexpr int kMany = 10'000;
  const RedisServer server;
  start(target_of(server.url()));
  int right = 0;
  int ended = 0;
  const auto one = [&](int number) -> Task<> {
    const std::string text = std::to_string(number);
    const auto reply = co_await client_->call(Command("ECHO", text));
    right += reply.ok() && reply->text == text;
    ++ended;
  };
  run_on(worker_, [&] {
    for (int i = 0; i < kMany; ++i) {
      spawn(one(i));
    }
  });
  EXPECT_TRUE(eventually(worker_, [&] { return ended == kMany; }));
  EXPECT_EQ(right, kMany);
}

TEST_F(RedisClientTest, AScriptIsSentOnceAndAgainWhenRedisHasForgottenIt) {
  const RedisServer server;
  start(target_of(server.url()));
  static const RedisScript kCompareAndSet(
      "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) return 1 end return 0");
  const std::string key = redis_key("test", "a");
  ASSERT_TRUE(call(Command("SET", key, "1")).ok());
  EXPECT_EQ(run(kCompareAndSet, {key}, {"1", "2"})->integer, 1);
  EXPECT_EQ(run(kCompareAndSet, {key}, {"1", "3"})->integer, 0);
  ASSERT_TRUE(call(Command("SCRIPT", "FLUSH")).ok());
  EXPECT_EQ(run(kCompareAndSet, {key}, {"2", "3"})->integer, 1);
  EXPECT_EQ(call(Command("GET", key))->text, "3");
  EXPECT_THAT(server.cli("INFO commandstats"), HasSubstr("cmdstat_eval:calls=2,")) << "the rest was by its hash";
}

TEST_F(RedisClientTest, IsConnectedAgainAfterRedisCutIt) {
  const RedisServer server;
  start(target_of(server.url()));
  ASSERT_TRUE(call(Command("PING")).ok());
  server.cli("CLIENT KILL TYPE normal");
  EXPECT_TRUE(answers(Command("PING")));
  EXPECT_FALSE(is_refusing());
}

TEST_F(RedisClientTest, WhereNobodyListensCallsFailAndThenAreRefusedAtOnce) {
  RedisServer server;
  start(target_of(server.url()));
  ASSERT_TRUE(call(Command("PING")).ok());
  server.stop();
  for (int i = 0; i < 5 && !is_refusing(); ++i) {
    EXPECT_EQ(call(Command("PING")).error().code, Code::unavailable);
  }
  EXPECT_TRUE(is_refusing());
  // One call a second is let through; of three in a row at most one.
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(call(Command("PING")).error().code, Code::unavailable);
  }
  EXPECT_GT(calls("not_tried"), 0u);
  server.start();
  EXPECT_TRUE(answers(Command("PING")));
  EXPECT_FALSE(is_refusing());
}

TEST_F(RedisClientTest, AFrozenServerCostsACallItsTimeoutAndNoMore) {
  RedisServer server;
  start(target_of(server.url(), [](RedisOptions& options) { options.timeout = std::chrono::milliseconds(200); }));
  ASSERT_TRUE(call(Command("PING")).ok());
  server.pause();
  const auto late = call(Command("PING"));
  EXPECT_EQ(late.error().code, Code::unavailable);
  EXPECT_THAT(late.error().text, AnyOf(HasSubstr("no answer within 200 ms"), HasSubstr("cannot be reached")));
  server.resume();
  EXPECT_TRUE(answers(Command("PING")));
}

// The reply of a call that was given up must not become that of the next one.
TEST_F(RedisClientTest, ALateReplyIsNobodys) {
  const RedisServer server;
  start(target_of(server.url(), [](RedisOptions& options) {
    options.timeout = std::chrono::milliseconds(100);
    options.connections = 1;
  }));
  ASSERT_TRUE(call(Command("PING")).ok());
  EXPECT_EQ(call(Command("BLPOP", "list", "0")).error().code, Code::unavailable);
  ASSERT_TRUE(answers(Command("PING")));
  server.cli("LPUSH list late");
  EXPECT_EQ(call(Command("ECHO", "mine"))->text, "mine");
}

TEST_F(RedisClientTest, WaitsForItsFirstConnection) {
  const RedisServer server;
  client_ = std::make_unique<RedisClient>(workers_, target_of(server.url()), random_, metrics_);
  std::optional<Result<Reply>> got;
  const auto one = [&]() -> Task<> { got.emplace(co_await client_->call(Command("ECHO", "early"))); };
  client_->start();
  run_on(worker_, [&] { spawn(one()); });  // in the turn that has begun to connect
  EXPECT_TRUE(eventually(worker_, [&] { return got.has_value(); }));
  EXPECT_EQ((*got)->text, "early");
}

TEST_F(RedisClientTest, SoMuchWaitsForAConnectionAndNotMore) {
  const int port = free_port();
  start(target_of("redis://127.0.0.1:" + std::to_string(port), [](RedisOptions& options) {
    options.connections = 1;
    options.retries = 1'000'000;
  }));
  const std::string large(RedisPipe::kWaitingBytesMax, 'x');
  EXPECT_THAT(call(Command("ECHO", large)).error().text, HasSubstr("too much waits"));
  EXPECT_THAT(call(Command("ECHO", large.substr(100))).error().text, HasSubstr("in time")) << "it waited";
}

TEST_F(RedisClientTest, SoManyCallsAreUnderWayOnAConnectionAndNotMore) {
  const RedisServer server;
  start(target_of(server.url(), [](RedisOptions& options) {
    options.connections = 1;
    options.timeout = std::chrono::minutes(10);
  }));
  ASSERT_TRUE(call(Command("PING")).ok());
  size_t answered = 0;
  size_t refused = 0;
  const auto one = [&](Command command) -> Task<> {
    const auto reply = co_await client_->call(std::move(command));
    ++(reply.ok() ? answered : refused);
  };
  run_on(worker_, [&] {
    spawn(one(Command("BLPOP", "list", "0")));  // what comes behind it waits
    for (size_t i = 1; i < RedisPipe::kRequestsMax; ++i) {
      spawn(one(Command("ECHO", "x")));
    }
    EXPECT_EQ(refused, 0u);
    spawn(one(Command("ECHO", "x")));
    EXPECT_EQ(refused, 1u);
  });
  server.cli("LPUSH list x");
  EXPECT_TRUE(eventually(worker_, [&] { return answered == RedisPipe::kRequestsMax; }));
}

TEST_F(RedisClientTest, WhatIsUnderWayEndsWhenTheNodeStops) {
  const RedisServer server;
  start(target_of(server.url(), [](RedisOptions& options) { options.timeout = std::chrono::minutes(10); }));
  ASSERT_TRUE(call(Command("PING")).ok());
  std::optional<Result<Reply>> got;
  const auto one = [&]() -> Task<> { got.emplace(co_await client_->call(Command("BLPOP", "list", "0"))); };
  run_on(worker_, [&] { spawn(one()); });
  client_->stop();
  EXPECT_TRUE(eventually(worker_, [&] { return got.has_value(); }));
  EXPECT_EQ(got->error().code, Code::unavailable);
  EXPECT_EQ(call(Command("PING")).error().code, Code::unavailable);
}

TEST_F(RedisClientTest, AServerThatIsNoMasterAnyMoreIsLeft) {
  const RedisServer server;
  const RedisServer other;
  start(target_of(server.url(), [](RedisOptions& options) { options.connections = 1; }));
  const int64_t connection = call(Command("CLIENT", "ID"))->integer;
  server.cli("REPLICAOF 127.0.0.1 " + std::to_string(other.port()));
  const auto refused = call(Command("SET", "k", "2"));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::unavailable);
  EXPECT_THAT(refused.error().text, HasSubstr("READONLY"));
  server.cli("REPLICAOF NO ONE");
  EXPECT_TRUE(answers(Command("SET", "k", "3")));
  EXPECT_NE(call(Command("CLIENT", "ID"))->integer, connection) << "another may be the master now";
}

}  // namespace
}  // namespace tidemark::bus
