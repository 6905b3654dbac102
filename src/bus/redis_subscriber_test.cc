// The order of commands and confirmations, against a peer that says exactly what a test wants.
#include "bus/redis_subscriber.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "bus/bus_fixture.h"
#include "bus/redis_command.h"
#include "bus/redis_fixture.h"
#include "core/worker_fixture.h"

namespace tidemark::bus {
namespace {

using boost::asio::ip::tcp;

// Takes one connection at a time; reads and writes on the test's thread.
class Peer {
 public:
  int port() const { return acceptor_.local_endpoint().port(); }

  // The next connection, which is greeted; closes the one before.
  void accept() {
    socket_.reset();
    socket_.emplace(acceptor_.accept());
    const timeval patience{10, 0};
    ::setsockopt(socket_->native_handle(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    received_.clear();
    expect(Command("PING").bytes());
    say("+PONG\r\n");
  }
  // Reads until `enough` says so of what came; returns it.
  template <class Enough>
  std::string receive(Enough enough) {
    char buffer[4096];
    while (!enough(received_)) {
      const ssize_t got = ::recv(socket_->native_handle(), buffer, sizeof buffer, 0);
      if (got <= 0) {
        ADD_FAILURE() << "too little came";
        break;
      }
      received_.append(buffer, static_cast<size_t>(got));
    }
    return std::exchange(received_, {});
  }
  // Reads until that has come; what came before it is dropped, and returned.
  std::string expect(const std::string& bytes) {
    char buffer[4096];
    for (size_t at = 0; (at = received_.find(bytes)) == std::string::npos;) {
      const ssize_t got = ::recv(socket_->native_handle(), buffer, sizeof buffer, 0);
      if (got <= 0) {
        ADD_FAILURE() << "did not come: " << bytes;
        return {};
      }
      received_.append(buffer, static_cast<size_t>(got));
    }
    const size_t at = received_.find(bytes);
    std::string before = received_.substr(0, at);
    received_.erase(0, at + bytes.size());
    return before;
  }
  void say(const std::string& bytes) {
    EXPECT_EQ(::send(socket_->native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  void confirm(const std::string& kind, const std::string& channel) { confirm_all(kind, {channel}); }
  void confirm_all(const std::string& kind, const std::vector<std::string>& channels) {
    std::string replies;
    for (const std::string& channel : channels) {
      replies += reply(kind, channel);
    }
    say(replies);
  }

 private:
  static std::string reply(const std::string& kind, const std::string& channel) {
    return "*3\r\n$" + std::to_string(kind.size()) + "\r\n" + kind + "\r\n$" + std::to_string(channel.size()) + "\r\n" +
           channel + "\r\n:1\r\n";
  }

  boost::asio::io_context io_;
  tcp::acceptor acceptor_{io_, {boost::asio::ip::address_v4::loopback(), 0}};
  std::optional<tcp::socket> socket_;
  std::string received_;
};

class RedisSubscriberTest : public ::testing::Test {
 protected:
  RedisSubscriberTest() {
    workers_.start();
    run_on(worker_, [this] { subscriber_.start(); });
    peer_.accept();
  }
  ~RedisSubscriberTest() override {
    run_on(worker_, [this] { subscriber_.stop(); });
    workers_.stop_and_join();
  }

  // Each in a turn of its own, at whose end it is sent.
  void subscribe(const std::string& channel, Heard& heard) {
    run_on(worker_, [&] { subscriber_.subscribe(channel, heard.receiver()); });
  }
  void unsubscribe(const std::string& channel) {
    run_on(worker_, [&] { subscriber_.unsubscribe(channel); });
  }
  // Returns when what the peer said before has been read: a channel more is live.
  void settle_with_a_mark() {
    const std::string name = "mark " + std::to_string(marks_.size());
    Heard& mark = *marks_.emplace_back(std::make_unique<Heard>());
    subscribe(name, mark);
    peer_.expect(Command("SSUBSCRIBE", name).bytes());
    peer_.confirm("ssubscribe", name);
    EXPECT_TRUE(eventually(worker_, [&] { return mark.lives == 1; }));
  }
  int lives(const Heard& heard) {
    return run_on(worker_, [&] { return heard.lives; });
  }
  static size_t commands_in(const std::string& sent) {
    size_t count = 0;
    for (size_t at = 0; (at = sent.find("SSUBSCRIBE", at)) != std::string::npos; ++at) {
      ++count;
    }
    return count;
  }
  static std::vector<std::string> channels_in(const std::string& sent) {
    std::vector<std::string> channels;
    constexpr size_t kBytes = std::string_view("channel 12345").size();
    for (size_t at = 0; (at = sent.find("channel ", at)) != std::string::npos && at + kBytes < sent.size(); ++at) {
      channels.push_back(sent.substr(at, kBytes));
    }
    return channels;
  }
  bool is_live() {
    return run_on(worker_, [this] { return subscriber_.is_live(); });
  }

  Peer peer_;
  SystemClock clock_;
  SystemRandom random_;
  MetricRegistry registry_;
  BusMetrics metrics_{registry_};
  const Identity self_{"n", 1};
  WorkerPool workers_{1, clock_};
  Worker& worker_ = workers_.at(0);
  std::vector<std::unique_ptr<Heard>> marks_;
  RedisSubscriber subscriber_{worker_,
                              target_of("redis://127.0.0.1:" + std::to_string(peer_.port()),
                                        [](RedisOptions& options) {
                                          options.timeout = std::chrono::minutes(1);
                                          options.heartbeat = std::chrono::milliseconds(50);
                                        }),
                              random_,
                              self_,
                              metrics_,
                              [] {}};
};

TEST_F(RedisSubscriberTest, AnAnswerToAnOlderCommandIsNotTakenForTheNewer) {
  Heard first;
  Heard second;
  subscribe("x", first);
  peer_.expect(Command("SSUBSCRIBE", "x").bytes());
  unsubscribe("x");
  peer_.expect(Command("SUNSUBSCRIBE", "x").bytes());
  subscribe("x", second);
  peer_.expect(Command("SSUBSCRIBE", "x").bytes());
  peer_.confirm("ssubscribe", "x");
  settle_with_a_mark();
  EXPECT_EQ(lives(second), 0);
  peer_.confirm("sunsubscribe", "x");
  settle_with_a_mark();
  EXPECT_EQ(lives(second), 0);
  peer_.confirm("ssubscribe", "x");
  settle_with_a_mark();
  EXPECT_EQ(lives(second), 1);
  EXPECT_EQ(lives(first), 0);
}

TEST_F(RedisSubscriberTest, WhatIsOnItsWayWhenASubscriptionEndsIsNotDelivered) {
  const std::string bytes = wrap({"other", 1}, "hello");
  const std::string message =
      "*3\r\n$8\r\nsmessage\r\n$1\r\nx\r\n$" + std::to_string(bytes.size()) + "\r\n" + bytes + "\r\n";
  Heard heard;
  subscribe("x", heard);
  peer_.expect(Command("SSUBSCRIBE", "x").bytes());
  peer_.confirm("ssubscribe", "x");
  peer_.say(message);
  settle_with_a_mark();
  unsubscribe("x");
  peer_.expect(Command("SUNSUBSCRIBE", "x").bytes());
  peer_.say(message);
  peer_.confirm("sunsubscribe", "x");
  peer_.say(message);
  settle_with_a_mark();
  EXPECT_EQ(run_on(worker_, [&] { return heard.payloads; }), std::vector<std::string>{"hello"});
}

TEST_F(RedisSubscriberTest, AChannelThatRedisEndedByItselfIsSubscribedAgain) {
  Heard heard;
  subscribe("x", heard);
  peer_.expect(Command("SSUBSCRIBE", "x").bytes());
  peer_.confirm("ssubscribe", "x");
  settle_with_a_mark();
  EXPECT_EQ(lives(heard), 1);
  peer_.confirm("sunsubscribe", "x");  // as a cluster does when the channel moves
  peer_.expect(Command("SSUBSCRIBE", "x").bytes());
  peer_.confirm("ssubscribe", "x");
  settle_with_a_mark();
  EXPECT_EQ(lives(heard), 2) << "messages may be missing";
}

TEST_F(RedisSubscriberTest, AfterALossItSubscribesInBatchesAndSoManyAtATime) {
  constexpr size_t kMany = 5000;
  constexpr size_t kAtATime = 4096;
  std::vector<int> lives(kMany);
  run_on(worker_, [&] {
    for (size_t i = 0; i < kMany; ++i) {
      subscriber_.subscribe("channel " + std::to_string(10'000 + i),
                            {.message = [](const Message&) {}, .live = [&lives, i] { ++lives[i]; }});
    }
  });
  for (int round = 1; round <= 2; ++round) {
    // A question for a sign of life that is asked after all this stands behind everything that is sent meanwhile.
    std::string sent = peer_.expect(Command("PING").bytes());
    peer_.say("*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    sent += peer_.expect(Command("PING").bytes());
    std::vector<std::string> channels = channels_in(sent);
    EXPECT_EQ(channels.size(), kAtATime);
    EXPECT_EQ(commands_in(sent), kAtATime / 256);
    EXPECT_TRUE(round == 1 || !is_live()) << "after the loss";
    peer_.confirm_all("ssubscribe", channels);
    channels = channels_in(peer_.receive([&](const std::string& received) {
      return channels_in(received).size() == kMany - kAtATime;  // perhaps with questions in between
    }));
    peer_.confirm_all("ssubscribe", channels);
    EXPECT_TRUE(eventually(worker_, [&] { return subscriber_.is_live(); }));
    EXPECT_TRUE(run_on(worker_, [&] { return std::count(lives.begin(), lives.end(), round) == kMany; }));
    if (round == 1) {
      peer_.accept();
    }
  }
}

TEST_F(RedisSubscriberTest, WhatNoSubscriberIsSentCostsTheConnection) {
  Heard heard;
  subscribe("x", heard);
  for (const std::string rubbish : {"*1\r\n:1\r\n", ":7\r\n", "-ERR unknown command 'SSUBSCRIBE'\r\n", "$-1\r\n"}) {
    peer_.expect(Command("SSUBSCRIBE", "x").bytes());
    peer_.say(rubbish);
    peer_.accept();
  }
  peer_.expect(Command("SSUBSCRIBE", "x").bytes());
  peer_.confirm("ssubscribe", "x");
  EXPECT_TRUE(eventually(worker_, [&] { return heard.lives == 1; }));
}

}  // namespace
}  // namespace tidemark::bus
