// A master that real sentinels know, and that another one replaces.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bus/bus_fixture.h"
#include "bus/redis_client.h"
#include "bus/redis_fixture.h"
#include "core/worker_fixture.h"

namespace tidemark::bus {
namespace {

using ::testing::HasSubstr;

class RedisSentinelTest : public ::testing::Test {
 protected:
  RedisSentinelTest() { ::signal(SIGPIPE, SIG_IGN); }

  std::string url(const std::string& name) const {
    // Nobody listens where the first one should be.
    return "redis+sentinel://127.0.0.1:" + std::to_string(free_port()) + "," + sentinel_.address() + "/" + name;
  }

  RedisServer master_;
  const RedisServer replica_{{"replicaof 127.0.0.1 " + std::to_string(master_.port())}};
  const RedisServer sentinel_{{"sentinel monitor tm 127.0.0.1 " + std::to_string(master_.port()) + " 1",
                               "sentinel down-after-milliseconds tm 300", "sentinel failover-timeout tm 3000"},
                              RedisServer::Kind::sentinel};
};

// All in one, because a failover takes the sentinel some seconds.
TEST_F(RedisSentinelTest, TheNewMasterIsFollowed) {
  Heard heard;
  Node a("a", target_of(url("tm")));
  Node b("b", target_of(url("tm")));
  b.subscribe("x", heard);
  ASSERT_TRUE(b.is_live(heard) && a.becomes(State::up));
  EXPECT_THAT(master_.cli("PUBSUB SHARDCHANNELS"), HasSubstr("tidemark:0:x")) << "the master, and not the replica";
  ASSERT_TRUE(eventually(a.worker(0),
                         [&] { return sentinel_.cli("SENTINEL replicas tm").find("slave") != std::string::npos; }));
  master_.stop();
  ASSERT_TRUE(b.becomes(State::degraded));
  EXPECT_TRUE(eventually(b.worker(0), [&] { return heard.lives >= 2; }) || b.is_live(heard, 2))
      << "it may take longer than ten seconds";
  EXPECT_THAT(replica_.cli("PUBSUB SHARDCHANNELS"), HasSubstr("tidemark:0:x"));
  ASSERT_TRUE(a.becomes(State::up));
  a.publish("x", "again");
  EXPECT_TRUE(b.hears(heard, 1));
}

TEST_F(RedisSentinelTest, ANameThatNoSentinelKnowsIsAnHonestError) {
  const SystemClock clock;
  SystemRandom random;
  MetricRegistry metrics;
  WorkerPool workers(1, clock);
  RedisClient client(workers, target_of(url("other")), random, metrics);
  client.start();
  workers.start();
  std::optional<Result<Reply>> got;
  finish_on(workers.at(0), [&]() -> Task<> { got.emplace(co_await client.call(Command("PING"))); });
  EXPECT_EQ(got->error().code, Code::unavailable);
  EXPECT_THAT(got->error().text, HasSubstr("it knows no master of that name"));
  client.stop();
  settle(workers);
  workers.stop_and_join();
}

}  // namespace
}  // namespace tidemark::bus
