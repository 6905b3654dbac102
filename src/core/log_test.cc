#include "core/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <sstream>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

namespace tidemark {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

class Log : public testing::Test {
 protected:
  ~Log() override { log_setup(LogLevel::info, LogFormat::text); }

  void use(LogFormat format, LogLevel level = LogLevel::info) {
    out_.str("");
    log_setup(level, format, &out_);
  }
  std::string text_value(std::string_view value) {
    use(LogFormat::text);
    log_info("e", {{"v", value}});
    const std::string line = out_.str();
    return line.substr(line.find("v=") + 2);
  }
  std::string json_value(std::string_view value) {
    use(LogFormat::json);
    log_info("e", {{"v", value}});
    return out_.str();
  }

  std::ostringstream out_;
};

static_assert(!std::is_constructible_v<LogField, std::string_view, Secret>);
static_assert(!std::is_constructible_v<LogField, std::string_view, Secret&>);
static_assert(!std::is_constructible_v<LogField, std::string_view, const Secret*>);
static_assert(std::is_constructible_v<LogField, std::string_view, std::string>);

TEST_F(Log, WritesTimeLevelEventAndFieldsAsText) {
  use(LogFormat::text);
  const std::string user = "alice";
  log_warn("gateway.connected", {{"user", user},
                                 {"connection", 7},
                                 {"queue", size_t{9}},
                                 {"ratio", 0.5},
                                 {"resumed", true},
                                 {"device", "phone"}});
  EXPECT_THAT(out_.str(),
              MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z warn gateway\\.connected "
                           "user=\"alice\" connection=7 queue=9 ratio=0.5 resumed=true device=\"phone\"\n"));
}

TEST_F(Log, WritesOneJsonObjectPerLine) {
  use(LogFormat::json);
  log_error("storage.failed", {{"text", "a \"b\" \\ c\nd"}, {"count", -3}, {"ratio", 2.25}, {"fatal", false}});
  const std::string line = out_.str();
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  simdjson::dom::parser parser;
  const simdjson::dom::element json = parser.parse(line);
  EXPECT_EQ(std::string_view(json["level"]), "error");
  EXPECT_EQ(std::string_view(json["event"]), "storage.failed");
  EXPECT_EQ(std::string_view(json["text"]), "a \"b\" \\ c\nd");
  EXPECT_EQ(int64_t(json["count"]), -3);
  EXPECT_EQ(double(json["ratio"]), 2.25);
  EXPECT_EQ(bool(json["fatal"]), false);
  EXPECT_THAT(std::string(std::string_view(json["time"])), MatchesRegex("[0-9]{4}-.*\\.[0-9]{3}Z"));
}

TEST_F(Log, NumbersThatNoFormatHasStayValid) {
  use(LogFormat::json);
  log_info("e", {{"nan", std::nan("")},
                 {"infinite", std::numeric_limits<float>::infinity()},
                 {"huge", std::numeric_limits<uint64_t>::max()},
                 {"small", std::numeric_limits<int64_t>::min()}});
  EXPECT_THAT(out_.str(), EndsWith(R"("nan":null,"infinite":null,"huge":9223372036854775807,)"
                                   R"("small":-9223372036854775808})"
                                   "\n"));
}

TEST_F(Log, EscapesWhatBreaksALineOrSteersATerminal) {
  EXPECT_EQ(text_value("a\nb\r\tc"), "\"a\\u000ab\\u000d\\u0009c\"\n");
  EXPECT_EQ(text_value("\x1b[31mred\x7f"), "\"\\u001b[31mred\\u007f\"\n");
  EXPECT_EQ(text_value(std::string_view("\0x", 2)), "\"\\u0000x\"\n");
  EXPECT_EQ(text_value("\u0080\u009b31m\u009f"), "\"\\u0080\\u009b31m\\u009f\"\n");
  EXPECT_EQ(text_value("\u2028\u2029"), "\"\\u2028\\u2029\"\n");
  EXPECT_EQ(text_value("\u061c\u200e\u200f"), "\"\\u061c\\u200e\\u200f\"\n");
  EXPECT_EQ(text_value("\u202a\u202e\u2066\u2069"), "\"\\u202a\\u202e\\u2066\\u2069\"\n");
  EXPECT_EQ(text_value("say \"hi\" \\o/"), "\"say \\\"hi\\\" \\\\o/\"\n");
}

TEST_F(Log, KeepsOtherTextAsItIs) {
  for (const char* text : {" ~", "Ü\u00a0ñ", "日本", "😀", "\u2027\u202f\u2065\u206a", "\U0010FFFF", "%s {} %v"}) {
    EXPECT_EQ(text_value(text), "\"" + std::string(text) + "\"\n");
  }
}

TEST_F(Log, ReplacesInvalidUtf8) {
  const std::string mark = "\uFFFD";
  EXPECT_EQ(text_value("a\xff z"), "\"a" + mark + " z\"\n");
  EXPECT_EQ(text_value("\x80"), "\"" + mark + "\"\n");
  EXPECT_EQ(text_value("\xc0\xaf"), "\"" + mark + mark + "\"\n");                  // overlong
  EXPECT_EQ(text_value("\xe0\x9f\xbf"), "\"" + mark + mark + mark + "\"\n");       // overlong
  EXPECT_EQ(text_value("\xed\xa0\x80"), "\"" + mark + mark + mark + "\"\n");       // surrogate
  EXPECT_EQ(text_value("\xf4\x90\x80\x80"), "\"" + mark + mark + mark + mark + "\"\n");  // beyond U+10FFFF
  EXPECT_EQ(text_value("cut \xe2\x82"), "\"cut " + mark + "\"\n");
  EXPECT_EQ(text_value("\xe2\x82\n"), "\"" + mark + "\\u000a\"\n");  // the newline is not swallowed
}

TEST_F(Log, EveryByteStringIsOneLineOfValidJson) {
  simdjson::dom::parser parser;
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; second += 5) {
      const std::string value = {static_cast<char>(first), static_cast<char>(second), static_cast<char>(0x85), 'x'};
      const std::string line = json_value(value);
      ASSERT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << first << " " << second;
      ASSERT_EQ(parser.parse(line).error(), simdjson::SUCCESS) << first << " " << second;
    }
  }
}

TEST_F(Log, EventsAndNamesCannotBreakTheLineEither) {
  for (const LogFormat format : {LogFormat::text, LogFormat::json}) {
    use(format);
    log_info("a\nb", {{"n\nm", 1}});
    const std::string line = out_.str();
    EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
    EXPECT_THAT(line, HasSubstr("a\\u000ab"));
  }
}

TEST_F(Log, WritesOnlyFromTheLevelUp) {
  use(LogFormat::text, LogLevel::warn);
  EXPECT_FALSE(log_enabled(LogLevel::info));
  EXPECT_TRUE(log_enabled(LogLevel::warn));
  log_debug("quiet");
  log_info("quiet");
  log_warn("loud");
  log_error("loud");
  EXPECT_THAT(out_.str(), Not(HasSubstr("quiet")));
  log_level(LogLevel::debug);
  log_debug("changed");
  EXPECT_THAT(out_.str(), HasSubstr(" debug changed\n"));
}

TEST_F(Log, LevelChangesWhileOthersLog) {
  use(LogFormat::text);
  std::atomic<int> logged = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        log_error("e", {{"i", i}});
        ++logged;
      }
    });
  }
  for (int i = 0; i < 200; ++i) {
    log_level(i % 2 == 0 ? LogLevel::debug : LogLevel::error);
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  const std::string text = out_.str();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), logged.load());
}

TEST_F(Log, WritesToStderrByDefault) {
  log_setup(LogLevel::info, LogFormat::text);
  testing::internal::CaptureStderr();
  log_info("node.started");
  EXPECT_THAT(testing::internal::GetCapturedStderr(), EndsWith(" info node.started\n"));
}

}  // namespace
}  // namespace tidemark
