#include "http/target.h"

#include <gtest/gtest.h>

namespace tidemark::http {
namespace {

TEST(Target, IsTakenApart) {
  EXPECT_EQ(split_target("/a/b?c=d?e").path, "/a/b");
  EXPECT_EQ(split_target("/a/b?c=d?e").query, "c=d?e");
  EXPECT_EQ(split_target("/a#b?c").path, "/a");
  EXPECT_EQ(split_target("http://host:80/a?b").authority, "host:80");
  EXPECT_EQ(split_target("http://host:80/a?b").path, "/a");
  EXPECT_EQ(split_target("http://host?b").path, "/");
  EXPECT_EQ(split_target("http://host?b").query, "b");
  EXPECT_EQ(split_target("/a?u=http://b").authority, "");
  EXPECT_EQ(split_target("*").path, "*");
}

TEST(Target, QueryIsDecoded) {
  const auto parameters = query_parameters("a=1+2&b=%C3%A9%26&&c&d=");
  ASSERT_TRUE(parameters);
  const std::vector<std::pair<std::string, std::string>> expected{
      {"a", "1 2"}, {"b", "\xC3\xA9&"}, {"c", ""}, {"d", ""}};
  EXPECT_EQ(*parameters, expected);
  EXPECT_FALSE(query_parameters("a=%zz"));
  EXPECT_FALSE(query_parameters("a=%4"));
}

TEST(Target, LoopbackHostsAreKnown) {
  for (const char* host : {"localhost", "LocalHost:80", "127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:8080"}) {
    EXPECT_TRUE(is_loopback_host(host)) << host;
  }
  for (const char* host : {"", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "localhost:80.evil",
                           "[::1", "[::1].evil", "::1", "127.0.0.2", "[::1]x:80"}) {
    EXPECT_FALSE(is_loopback_host(host)) << host;
  }
}

}  // namespace
}  // namespace tidemark::http
