// What every Bus promises, for each of them; Redis' is a real server.
#include "bus/bus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bus/bus_fixture.h"
#include "bus/redis_fixture.h"

namespace tidemark::bus {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

enum class Kind : uint8_t { local, redis };

class BusTest : public ::testing::TestWithParam<Kind> {
 protected:
  BusTest() {
    if (GetParam() == Kind::redis) {
      server_.emplace();
      target_ = target_of(server_->url());
    }
  }

  // A node whose bus is up.
  std::unique_ptr<Node> node(const std::string& name) {
    auto made = GetParam() == Kind::local ? std::make_unique<Node>(name, hub_) : std::make_unique<Node>(name, target_);
    EXPECT_TRUE(made->becomes(State::up));
    return made;
  }
  void go_away() {
    if (GetParam() == Kind::local) {
      hub_->set_away(true);
    } else {
      server_->stop();
    }
  }
  void come_back() {
    if (GetParam() == Kind::local) {
      hub_->set_away(false);
    } else {
      server_->start();
    }
  }

  const std::shared_ptr<LocalHub> hub_ = std::make_shared<LocalHub>();
  std::optional<RedisServer> server_;
  std::shared_ptr<const RedisTarget> target_;
};

TEST_P(BusTest, AMessageComesToEveryOtherNodeThatSubscribed) {
  Heard at_a;
  Heard at_b0;
  Heard at_b1;
  Heard at_c;
  const auto a = node("a");
  const auto b = node("b");
  const auto c = node("c");
  a->subscribe("x", at_a);
  b->subscribe("x", at_b0);
  b->subscribe("x", at_b1, 1);
  c->subscribe("x", at_c);
  ASSERT_TRUE(a->is_live(at_a) && b->is_live(at_b0) && b->is_live(at_b1, 1, 1) && c->is_live(at_c));
  a->publish("x", "hello", 1);
  EXPECT_TRUE(b->hears(at_b0, 1) && b->hears(at_b1, 1, 1) && c->hears(at_c, 1));
  EXPECT_THAT(b->payloads(at_b0), ElementsAre("hello"));
  EXPECT_EQ(run_on(b->worker(0), [&] { return at_b0.from; }), "a/7");
  // What b says now was said after a's own message had been carried.
  b->publish("x", "and you");
  EXPECT_TRUE(a->hears(at_a, 1));
  EXPECT_THAT(a->payloads(at_a), ElementsAre("and you")) << "a node does not hear itself";
}

TEST_P(BusTest, AChannelIsItsOwn) {
  Heard x;
  Heard y;
  const auto a = node("a");
  const auto b = node("b");
  const std::string binary("y\0\r\n\xff", 5);
  b->subscribe("x", x);
  b->subscribe(binary, y);
  ASSERT_TRUE(b->is_live(x) && b->is_live(y));
  a->publish("xx", "1");
  a->publish(binary, "2");
  a->publish("x", "3");
  EXPECT_TRUE(b->hears(x, 1) && b->hears(y, 1));
  EXPECT_THAT(b->payloads(x), ElementsAre("3"));
  EXPECT_THAT(b->payloads(y), ElementsAre("2"));
}

TEST_P(BusTest, AfterItsEndASubscriptionHearsNothing) {
  Heard ended;
  Heard other;
  const auto a = node("a");
  const auto b = node("b");
  b->subscribe("x", ended);
  b->subscribe("y", other);
  ASSERT_TRUE(b->is_live(ended) && b->is_live(other));
  b->unsubscribe("x");
  b->unsubscribe("never was");
  a->publish("x", "1");
  a->publish("y", "2");
  EXPECT_TRUE(b->hears(other, 1));
  EXPECT_THAT(b->payloads(ended), IsEmpty());
}

TEST_P(BusTest, ANewSubscriptionOfTheChannelIsToldForItselfWhenItIsLive) {
  Heard first;
  Heard second;
  Heard third;
  const auto a = node("a");
  const auto b = node("b");
  run_on(b->worker(0), [&] {
    b->bus().subscribe("x", first.receiver());
    b->bus().unsubscribe("x");
    b->bus().subscribe("x", second.receiver());
  });
  ASSERT_TRUE(b->is_live(second));
  b->unsubscribe("x");
  b->subscribe("x", third);
  ASSERT_TRUE(b->is_live(third));
  a->publish("x", "1");
  EXPECT_TRUE(b->hears(third, 1));
  EXPECT_THAT(b->payloads(first), IsEmpty());
  EXPECT_THAT(b->payloads(second), IsEmpty());
  EXPECT_EQ(run_on(b->worker(0), [&] { return first.lives + second.lives + third.lives; }), 2);
}

TEST_P(BusTest, AReceiverMayEndItselfAndBeginAnother) {
  Heard first;
  Heard second;
  const auto a = node("a");
  const auto b = node("b");
  run_on(b->worker(0), [&] {
    b->bus().subscribe("x", {.message =
                                 [&, large = std::string(100, 'x')](const Message& message) {
                                   b->bus().unsubscribe("x");
                                   b->bus().subscribe("x", second.receiver());
                                   first.payloads.push_back(std::string(message.payload) + large.substr(0, 1));
                                 },
                             .live = [&] { ++first.lives; }});
  });
  ASSERT_TRUE(b->is_live(first));
  a->publish("x", "1");
  ASSERT_TRUE(b->is_live(second));
  a->publish("x", "2");
  EXPECT_TRUE(b->hears(second, 1));
  EXPECT_THAT(b->payloads(first), ElementsAre("1x"));
  EXPECT_THAT(b->payloads(second), ElementsAre("2"));
}

TEST_P(BusTest, CarriesTheLargestPayloadAndNotOneByteMore) {
  Heard heard;
  const auto a = node("a");
  const auto b = node("b");
  b->subscribe("x", heard);
  ASSERT_TRUE(b->is_live(heard));
  const std::string largest(kPayloadBytesMax, '\xff');
  a->publish("x", largest + "x");
  a->publish("x", largest);
  a->publish("x", "");
  EXPECT_TRUE(b->hears(heard, 2));
  EXPECT_EQ(a->dropped("large"), 1u);
  EXPECT_TRUE(b->payloads(heard) == (std::vector<std::string>{largest, ""}));
}

TEST_P(BusTest, WhoeverSubscribedIsToldWhenItWasAway) {
  Heard heard;
  Heard ended;
  Heard late;
  const auto a = node("a");
  const auto b = node("b");
  b->subscribe("x", heard);
  b->subscribe("y", ended);
  ASSERT_TRUE(b->is_live(heard) && b->is_live(ended));
  go_away();
  EXPECT_TRUE(a->becomes(State::degraded) && b->becomes(State::degraded));
  // Perhaps its subscriptions have noticed first.
  EXPECT_TRUE(eventually(a->worker(0), [&] {
    a->bus().publish("x", "lost");
    return a->dropped("away") > 0;
  }));
  b->subscribe("z", late);
  b->unsubscribe("y");
  EXPECT_EQ(run_on(b->worker(0), [&] { return late.lives; }), 0);
  come_back();
  EXPECT_TRUE(b->is_live(heard, 2) && b->is_live(late));
  EXPECT_TRUE(a->becomes(State::up) && b->becomes(State::up));
  a->publish("y", "1");
  a->publish("z", "2");
  a->publish("x", "3");
  EXPECT_TRUE(b->hears(heard, 1) && b->hears(late, 1));
  EXPECT_THAT(b->payloads(heard), ElementsAre("3"));
  EXPECT_THAT(b->payloads(late), ElementsAre("2"));
  EXPECT_THAT(b->payloads(ended), IsEmpty());
}

TEST_P(BusTest, HasTenThousandSubscriptions) {
  constexpr size_t kMany = 10'000;
  size_t lives = 0;
  std::vector<int> heard(kMany);
  const auto a = node("a");
  const auto b = node("b");
  run_on(b->worker(0), [&] {
    for (size_t i = 0; i < kMany; ++i) {
      b->bus().subscribe("stream " + std::to_string(i),
                         {.message = [&heard, i](const Message&) { ++heard[i]; }, .live = [&lives] { ++lives; }});
    }
  });
  EXPECT_TRUE(eventually(b->worker(0), [&] { return lives == kMany; }));
  for (size_t i = 0; i < kMany; i += 1000) {
    run_on(a->worker(0), [&] {
      for (size_t k = i; k < i + 1000; ++k) {
        a->bus().publish("stream " + std::to_string(k), "x");
      }
    });
  }
  EXPECT_TRUE(eventually(
      b->worker(0), [&] { return std::all_of(heard.begin(), heard.end(), [](int times) { return times == 1; }); }));
  go_away();
  ASSERT_TRUE(b->becomes(State::degraded));
  come_back();
  EXPECT_TRUE(eventually(b->worker(0), [&] { return lives == 2 * kMany; }));
  EXPECT_TRUE(b->becomes(State::up));
}

INSTANTIATE_TEST_SUITE_P(Each, BusTest, ::testing::Values(Kind::local, Kind::redis),
                         [](const auto& kind) { return kind.param == Kind::local ? "Local" : "Redis"; });

}  // namespace
}  // namespace tidemark::bus
