#include "bus/redis_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::bus {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

RedisOptions parsed(std::string_view url) {
  auto options = parse_redis_url(url);
  EXPECT_TRUE(options.ok()) << url << ": " << options.error().text;
  return options.ok() ? *options : RedisOptions();
}

TEST(RedisUrl, NeedsAHostOnly) {
  const RedisOptions options = parsed("redis://cache");
  EXPECT_THAT(options.hosts, ElementsAre(HostPort{"cache", 6379}));
  EXPECT_FALSE(options.tls);
  EXPECT_EQ(options.database, 0);
  EXPECT_TRUE(options.user.empty() && options.password.empty() && options.master.empty());
  EXPECT_EQ(parsed("redis://cache/").database, 0);
}

TEST(RedisUrl, HasUserPasswordPortAndDatabase) {
  const RedisOptions options = parsed("redis://ann:p%40ss%2Fw%3Ard@[::1]:7000/3");
  EXPECT_THAT(options.hosts, ElementsAre(HostPort{"::1", 7000}));
  EXPECT_EQ(options.hosts[0].str(), "[::1]:7000");
  EXPECT_EQ(options.user, "ann");
  EXPECT_EQ(options.password.reveal(), "p@ss/w:rd");
  EXPECT_EQ(options.database, 3);
  EXPECT_EQ(parsed("redis://:secret@10.0.0.1").password.reveal(), "secret") << "of the default user";
}

TEST(RedisUrl, MayAskForTls) {
  const RedisOptions options = parsed("rediss://cache:6380?ca=%2Fetc%2Fca.pem");
  EXPECT_TRUE(options.tls);
  EXPECT_EQ(options.ca_path, "/etc/ca.pem");
  EXPECT_EQ(parsed("rediss://cache?ca=/etc/ca.pem").ca_path, "/etc/ca.pem");
}

TEST(RedisUrl, NamesSentinels) {
  const RedisOptions options = parsed("redis+sentinel://:pw@s1,s2:26380,[fd00::1]:1/my%20master/2");
  EXPECT_THAT(options.hosts, ElementsAre(HostPort{"s1", 26379}, HostPort{"s2", 26380}, HostPort{"fd00::1", 1}));
  EXPECT_EQ(options.master, "my master");
  EXPECT_EQ(options.database, 2);
  EXPECT_EQ(options.password.reveal(), "pw");
  EXPECT_TRUE(parsed("rediss+sentinel://s1/m").tls);
}

TEST(RedisUrl, IsRefusedWithoutItsPassword) {
  for (const std::string_view url : {"http://u:hidden@h",
                                     "redis:",
                                     "redis:h",
                                     "redis://",
                                     "redis://:hidden@",
                                     "redis://u:hidden@h:0",
                                     "redis://u:hidden@h:70000",
                                     "redis://u:hidden@h:x",
                                     "redis://u:hidden@h/x",
                                     "redis://u:hidden@h/-1",
                                     "redis://u:hidden@h/1/2",
                                     "redis://u:hidden@h?ca=x",
                                     "redis://u:hidden@h/99999999999",
                                     "rediss://u:hidden@h?ca=",
                                     "rediss://u:hidden@h?key=x",
                                     "redis://u:hidden@h#x",
                                     "redis://u:hidden@a,b",
                                     "redis+sentinel://u:hidden@h",
                                     "redis+sentinel://u:hidden@h/",
                                     "redis+sentinel://u:hidden@a,,b/m",
                                     "redis+sentinel://u:hidden@a/m/x",
                                     "redis+cluster://u:hidden@h",
                                     "redis://u:%zzhidden@h",
                                     "redis://u@h",
                                     "rediss",
                                     "redis://u:hidden@h h",
                                     "redis://u:hidden@[::1"}) {
    const auto options = parse_redis_url(url);
    ASSERT_FALSE(options.ok()) << url;
    EXPECT_THAT(options.error().text, AllOf(StartsWith("redis.url: "), Not(HasSubstr("hidden")))) << url;
  }
}

TEST(RedisUrl, TakesSixteenSentinelsAndNotOneMore) {
  std::string hosts = "s";
  for (int i = 1; i < 16; ++i) {
    hosts += ",s";
  }
  EXPECT_EQ(parsed("redis+sentinel://" + hosts + "/m").hosts.size(), kSentinelsMax);
  EXPECT_FALSE(parse_redis_url("redis+sentinel://" + hosts + ",s/m").ok());
}

TEST(RedisTarget, SaysWhichFileOfCertificatesIsMissing) {
  const auto target = RedisTarget::make(parsed("rediss://cache?ca=/nowhere"));
  ASSERT_FALSE(target.ok());
  EXPECT_THAT(target.error().text, HasSubstr("/nowhere"));
  EXPECT_TRUE(RedisTarget::make(parsed("redis://cache")).ok());
}

}  // namespace
}  // namespace tidemark::bus
