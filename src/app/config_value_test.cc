#include "app/config_value.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::app {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(ConfigValue, CountsAreDigits) {
  EXPECT_EQ(parse_count("0"), 0u);
  EXPECT_EQ(parse_count("9223372036854775807"), 9'223'372'036'854'775'807u);
  for (const char* text : {"", "-1", "+1", " 1", "1 ", "1.0", "1e3", "0x1", "1_000", "9223372036854775808",
                           "99999999999999999999"}) {
    EXPECT_EQ(parse_count(text), std::nullopt) << text;
  }
}

TEST(ConfigValue, SizesAreBytesOrBinaryUnits) {
  EXPECT_EQ(parse_bytes("512"), 512u);
  EXPECT_EQ(parse_bytes("512B"), 512u);
  EXPECT_EQ(parse_bytes("64KiB"), 65'536u);
  EXPECT_EQ(parse_bytes("1MiB"), 1'048'576u);
  EXPECT_EQ(parse_bytes("2GiB"), 2'147'483'648u);
  EXPECT_EQ(parse_bytes("8589934591GiB"), 9'223'372'035'781'033'984u);
  for (const char* text : {"", "B", "1KB", "1kib", "1 KiB", "1KiBs", "1.5MiB", "-1B", "8589934592GiB"}) {
    EXPECT_EQ(parse_bytes(text), std::nullopt) << text;
  }
}

TEST(ConfigValue, DurationsHaveAUnit) {
  EXPECT_EQ(parse_duration("250ms"), 250ms);
  EXPECT_EQ(parse_duration("30s"), 30s);
  EXPECT_EQ(parse_duration("5m"), 5min);
  EXPECT_EQ(parse_duration("24h"), 24h);
  EXPECT_EQ(parse_duration("30d"), 720h);
  EXPECT_EQ(parse_duration("0s"), 0s);
  for (const char* text : {"", "0", "30", "s", "1.5s", "1h30m", "-1s", "1S", "1y", "forever", "106751991168d"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

TEST(ConfigValue, FormatsInTheLargestUnitThatFits) {
  EXPECT_EQ(format_bytes(0), "0B");
  EXPECT_EQ(format_bytes(1023), "1023B");
  EXPECT_EQ(format_bytes(1024), "1KiB");
  EXPECT_EQ(format_bytes(1536u * 1024), "1536KiB");
  EXPECT_EQ(format_bytes(uint64_t{3} << 30), "3GiB");
  EXPECT_EQ(format_duration(0ms), "0s");
  EXPECT_EQ(format_duration(1500ms), "1500ms");
  EXPECT_EQ(format_duration(90s), "90s");
  EXPECT_EQ(format_duration(24h), "24h");
  EXPECT_EQ(format_duration(48h), "2d");
  EXPECT_EQ(format_duration(49h), "49h");
}

TEST(ConfigValue, ListenersAreHostAndPortOrOff) {
  EXPECT_EQ(parse_listener("off").value(), std::nullopt);
  EXPECT_EQ(parse_listener("0.0.0.0:65535").value(), (Endpoint{"0.0.0.0", 65'535}));
  EXPECT_EQ(parse_listener("my-host.test:0").value(), (Endpoint{"my-host.test", 0}));
  EXPECT_EQ(parse_listener("[fe80::1]:80").value(), (Endpoint{"fe80::1", 80}));
  for (const char* text : {"", "Off", "host", ":80", "host:", "host:65536", "host:-1", "host:http", "::1:80", "[]:80",
                           "[host]:80", "[::1]", "a b:80", "http://host:80", "host:80/"}) {
    EXPECT_FALSE(parse_listener(text).has_value()) << text;
  }
  for (const char* text : {"off", "0.0.0.0:1", "[::1]:0"}) {
    EXPECT_EQ(format_listener(*parse_listener(text)), text);
  }
}

TEST(ConfigValue, OriginsAreWhatABrowserSends) {
  for (const char* text : {"https://a.test", "http://localhost:8080", "http://[::1]:80", "http://[::1]", "app://x"}) {
    EXPECT_TRUE(is_origin(text)) << text;
  }
  for (const char* text : {"", "*", "null", "a.test", "https://", "://a", "https://a.test/", "https://A.test",
                           "HTTPS://a", "https://a:99999", "https://user@a", "https://*.test"}) {
    EXPECT_FALSE(is_origin(text)) << text;
  }
}

TEST(ConfigValue, ListsAreSplitAtCommas) {
  EXPECT_THAT(split_list(""), IsEmpty());
  EXPECT_THAT(split_list("  "), IsEmpty());
  EXPECT_THAT(split_list("a"), ElementsAre("a"));
  EXPECT_THAT(split_list(" a ,b c,\td"), ElementsAre("a", "b c", "d"));
  EXPECT_THAT(split_list("a,,b,"), ElementsAre("a", "", "b", ""));
}

TEST(ConfigValue, DistanceCountsEdits) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("abc", ""), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("flaw", "lawn"), 2u);
  EXPECT_EQ(edit_distance(std::string(1'000'000, 'x'), "x"), 63u);
}

TEST(ConfigValue, PlainTextHasNoControlsAndALength) {
  EXPECT_TRUE(is_plain_text(""));
  EXPECT_TRUE(is_plain_text("Grüße 日本"));
  EXPECT_TRUE(is_plain_text(std::string(4096, 'x')));
  EXPECT_FALSE(is_plain_text(std::string(4097, 'x')));
  EXPECT_FALSE(is_plain_text("a\nb"));
  EXPECT_FALSE(is_plain_text("a\x7f"));
  EXPECT_FALSE(is_plain_text("\xff"));
}

TEST(ConfigValue, PrintableTextStaysOnOneLine) {
  EXPECT_EQ(printable("a\nb\x1b\xc3\xa4"), "a?b???");
  EXPECT_EQ(printable(std::string(80, 'x')), std::string(80, 'x'));
  EXPECT_EQ(printable(std::string(81, 'x')), std::string(80, 'x') + "...");
}

}  // namespace
}  // namespace tidemark::app
