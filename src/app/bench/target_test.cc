#include "app/bench/target.h"

#include <gtest/gtest.h>

namespace tidemark::app {
namespace {

TEST(ParseTarget, TakesUrlsApart) {
  const Result<Target> plain = parse_target("ws://127.0.0.1:8080");
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->port, 8080);
  EXPECT_EQ(plain->path, "/api/v1/ws/connect");
  const Result<Target> six = parse_target("http://[::1]/ws");
  ASSERT_TRUE(six.ok());
  EXPECT_EQ(six->host, "::1");
  EXPECT_EQ(six->authority, "[::1]");
  EXPECT_EQ(six->port, 80);
  EXPECT_EQ(six->path, "/ws");
  EXPECT_FALSE(six->secure);
  const Result<Target> secure = parse_target("wss://127.0.0.1");
  ASSERT_TRUE(secure.ok());
  EXPECT_TRUE(secure->secure);
  EXPECT_EQ(secure->port, 443);
}

TEST(ParseTarget, RefusesWhatIsNoUrl) {
  for (const char* url :
       {"", "127.0.0.1:8080", "wss//127.0.0.1", "ftp://127.0.0.1", "ws://", "ws://:80", "ws://127.0.0.1:", "ws://127.0.0.1:0",
        "ws://127.0.0.1:65536", "ws://127.0.0.1:8x", "ws://127.0.0.180:-1", "ws://[::1", "ws://h/?q=1"}) {
    EXPECT_FALSE(parse_target(url).ok()) << url;
  }
}

TEST(Accounts, RefusesAShortSecret) {
  EXPECT_FALSE(Accounts::make(Secret(std::string(31, 's')), "default").ok());
  EXPECT_TRUE(Accounts::make(Secret(std::string(32, 's')), "default").ok());
}

TEST(Accounts, HasOtherUsersInEachRun) {
  const auto one = Accounts::make(Secret(std::string(32, 's')), "default");
  const auto other = Accounts::make(Secret(std::string(32, 's')), "default");
  EXPECT_NE(one->user("a", 1), other->user("a", 1));
  EXPECT_NE(one->user("a", 1), one->user("b", 1));
  EXPECT_NE(one->user("a", 1), one->user("a", 2));
}

}  // namespace
}  // namespace tidemark::app
