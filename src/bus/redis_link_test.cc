// A connection to what is, and what is not, the Redis that was meant.
#include "bus/redis_link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bus/redis_command.h"
#include "bus/redis_fixture.h"
#include "core/worker_fixture.h"

namespace tidemark::bus {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Peer = RedisLink::Peer;

class RedisLinkTest : public ::testing::Test {
 protected:
  RedisLinkTest() {
    ::signal(SIGPIPE, SIG_IGN);
    workers_.start();
  }
  ~RedisLinkTest() override {
    run_on(worker_, [this] { close(); });
    workers_.stop_and_join();
  }

  void close() {
    if (link_ != nullptr) {
      std::exchange(link_, nullptr)->close();
    }
  }

  // "up", or why it was lost.
  std::string outcome(const std::shared_ptr<const RedisTarget>& target, Peer peer = Peer::redis) {
    run_on(worker_, [&] {
      close();
      outcome_.clear();
      link_ = RedisLink::open(worker_, target, target->options.hosts.front(), peer,
                              {.up = [this] { outcome_ = "up"; },
                               .reply = [this](Reply reply) { replies_.push_back(std::move(reply)); },
                               .lost = [this](const Error& error) { outcome_ = error.text; }});
      EXPECT_EQ(outcome_, "") << "inside the call";
    });
    EXPECT_TRUE(eventually(worker_, [&] { return !outcome_.empty(); }));
    return run_on(worker_, [&] { return outcome_; });
  }
  std::string outcome(const std::string& url, Peer peer = Peer::redis) { return outcome(target_of(url), peer); }

  // Somebody who takes a connection, says that, and leaves it open.
  std::string outcome_of_stranger(const std::string& says, std::chrono::milliseconds timeout) {
    boost::asio::io_context io;
    boost::asio::ip::tcp::acceptor acceptor(io, {boost::asio::ip::address_v4::loopback(), 0});
    std::thread stranger([&] {
      auto socket = acceptor.accept();
      ::send(socket.native_handle(), says.data(), says.size(), MSG_NOSIGNAL);
      char byte = 0;
      while (::recv(socket.native_handle(), &byte, 1, 0) > 0) {
      }
    });
    const std::string got =
        outcome(target_of("redis://:hidden@127.0.0.1:" + std::to_string(acceptor.local_endpoint().port()),
                          [&](RedisOptions& options) { options.timeout = timeout; }));
    run_on(worker_, [this] { close(); });
    stranger.join();
    return got;
  }

  SystemClock clock_;
  WorkerPool workers_{1, clock_};
  Worker& worker_ = workers_.at(0);
  std::shared_ptr<RedisLink> link_;
  std::string outcome_;
  std::vector<Reply> replies_;
};

constexpr auto kLong = std::chrono::minutes(1);

TEST_F(RedisLinkTest, IsUpWhenItHasBeenGreeted) {
  const RedisServer server({"user ann on >pass allcommands allchannels allkeys", "requirepass other"});
  EXPECT_EQ(outcome("redis://ann:pass@" + server.address()), "up");
  EXPECT_EQ(outcome("redis://:other@" + server.address() + "/3"), "up");
  EXPECT_EQ(outcome("redis://:other@localhost:" + std::to_string(server.port())), "up") << "by name";
  EXPECT_EQ(outcome("redis://:other@" + server.address(), Peer::master), "up");
  run_on(worker_, [this] { link_->send(Command("ECHO", "a").bytes() + Command("ECHO", "b").bytes()); });
  EXPECT_TRUE(eventually(worker_, [this] { return replies_.size() == 2; }));
  EXPECT_EQ(replies_[1].text, "b") << "and hands out what comes then, without the greeting's replies";
}

TEST_F(RedisLinkTest, SaysWhatRedisRefuses) {
  const RedisServer server({"requirepass right"});
  EXPECT_THAT(outcome("redis://:hidden@" + server.address()),
              AllOf(HasSubstr("AUTH (WRONGPASS)"), Not(HasSubstr("hidden"))));
  EXPECT_THAT(outcome("redis://" + server.address()), HasSubstr("PING (NOAUTH)"));
  EXPECT_THAT(outcome("redis://:right@" + server.address() + "/16"), HasSubstr("SELECT (ERR)")) << "it has 16";
  EXPECT_EQ(outcome("redis://:right@" + server.address() + "/15"), "up");
}

TEST_F(RedisLinkTest, ToldToFindAMasterTakesNoReplica) {
  const RedisServer master;
  const RedisServer replica({"replicaof 127.0.0.1 " + std::to_string(master.port())});
  EXPECT_EQ(outcome(master.url(), Peer::master), "up");
  EXPECT_EQ(outcome(replica.url(), Peer::master), "it is no master");
}

TEST_F(RedisLinkTest, SaysThatNobodyListens) {
  EXPECT_THAT(outcome("redis://127.0.0.1:" + std::to_string(free_port())), StartsWith("cannot connect: "));
}

TEST_F(RedisLinkTest, GivesUpOnSomebodyWhoIsSilent) {
  EXPECT_EQ(outcome_of_stranger("", std::chrono::milliseconds(40)), "no connection within 40 ms");
  EXPECT_EQ(outcome_of_stranger("+O", std::chrono::milliseconds(40)), "no connection within 40 ms");
}

TEST_F(RedisLinkTest, GivesUpOnSomebodyWhoIsNoRedis) {
  EXPECT_THAT(outcome_of_stranger("HTTP/1.1 400 Bad Request\r\n\r\n", kLong), HasSubstr("no answer of Redis"));
  EXPECT_THAT(outcome_of_stranger("*2000000000\r\n", kLong), HasSubstr("larger than"));
  // It repeats what it was sent, and that must not get into a log.
  EXPECT_THAT(outcome_of_stranger("-ERR you said hidden\r\n", kLong),
              AllOf(HasSubstr("AUTH (ERR)"), Not(HasSubstr("hidden"))));
}

TEST_F(RedisLinkTest, SpeaksTlsToTheServerThatItTrustsOnly) {
  const RedisTlsServer server;
  EXPECT_EQ(outcome(server.url()), "up");
  const CertificateFiles other({.alternative_names = "IP:127.0.0.1"});
  EXPECT_THAT(outcome(server.url(other)), HasSubstr("certificate verify failed"));
  EXPECT_THAT(
      outcome("rediss://localhost:" + std::to_string(server.port()) + "?ca=" + server.certificate().certificate()),
      HasSubstr("certificate verify failed"))
      << "the certificate is not for that name";
  const RedisServer in_the_clear;
  EXPECT_THAT(outcome("rediss://" + in_the_clear.address() + "?ca=" + server.certificate().certificate()),
              Not(HasSubstr("up")));
}

TEST_F(RedisLinkTest, TakesSoMuchOutputAndNotMore) {
  RedisServer server;
  ASSERT_EQ(outcome(server.url()), "up");
  const std::string command = Command("ECHO", std::string(1 << 20, 'x')).bytes();
  run_on(worker_, [&] {
    size_t taken = 0;
    while (link_->send(command)) {
      taken += command.size();
    }
    EXPECT_LE(taken, RedisLink::kOutputBytesMax);
    EXPECT_GT(taken + command.size(), RedisLink::kOutputBytesMax);
    EXPECT_TRUE(link_->send(std::string(RedisLink::kOutputBytesMax - taken, '\n'))) << "up to the last byte";
    EXPECT_FALSE(link_->send("\n"));
  });
}

}  // namespace
}  // namespace tidemark::bus
