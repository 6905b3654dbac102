#include "app/top_sample.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace tidemark::app {
namespace {

TopSample sample(std::string_view metrics, int64_t time_ms) {
  std::string json = R"({"node":"n1","time_ms":)" + std::to_string(time_ms) +
                     R"(,"ready":true,"draining":false,"users":2,"connections":3,"queued":1,"behind":1,)"
                     R"("queue_bytes":2048,"slowest":[{"tenant_id":"t","user_id":"böb","device_id":"phone",)"
                     R"("behind":17,"queue_bytes":2048}],"metrics":")";
  for (const char c : metrics) {
    json += c == '\n' ? std::string("\\n") : c == '"' ? std::string("\\\"") : std::string(1, c);
  }
  const auto parsed = parse_top_sample(json + "\"}");
  EXPECT_TRUE(parsed.ok());
  return *parsed;
}

constexpr std::string_view kBefore =
    "# HELP x y\nwebsocket_messages_received_total 100\ntidemark_errors_total{code=\"a\"} 1\n"
    "tidemark_errors_total{code=\"b\"} 2\ntidemark_commit_seconds_bucket{le=\"0.001\"} 10\n"
    "tidemark_commit_seconds_bucket{le=\"0.002\"} 10\ntidemark_commit_seconds_bucket{le=\"+Inf\"} 10\n"
    "tidemark_commit_seconds_count 10\n";
constexpr std::string_view kNow =
    "websocket_messages_received_total 300\ntidemark_commit_seconds_bucket{le=\"0.001\"} 60\n"
    "tidemark_commit_seconds_bucket{le=\"0.002\"} 110\ntidemark_commit_seconds_bucket{le=\"+Inf\"} 110\n"
    "tidemark_commit_seconds_count 110\n";

TEST(TopSample, ReadsValuesAndHistograms) {
  const TopSample one = sample(kBefore, 1000);
  EXPECT_EQ(one.connections, 3);
  EXPECT_EQ(one.slowest.at(0).user, "böb");
  EXPECT_EQ(one.values.at("tidemark_errors_total"), 3);
  EXPECT_EQ(one.histograms.at("tidemark_commit_seconds").size(), 3u);
  EXPECT_FALSE(parse_top_sample("nonsense").ok());
  EXPECT_TRUE(parse_top_sample("{}").ok()) << "of another version: what is missing is zero";
}

TEST(TopSample, ComparesTwoMoments) {
  const TopFigures figures = compare(sample(kBefore, 1000), sample(kNow, 3000));
  EXPECT_DOUBLE_EQ(figures.messages_per_second, 100);
  EXPECT_DOUBLE_EQ(figures.commits_per_second, 50);
  EXPECT_NEAR(figures.commit_p50_ms, 1.0, 1e-9);
  EXPECT_NEAR(figures.commit_p99_ms, 1.98, 1e-9);
  EXPECT_EQ(figures.append_p99_ms, 0) << "nothing was observed";
}

TEST(TopSample, CountersOfANodeThatBeganAnewAreNotNegative) {
  const TopFigures figures = compare(sample(kNow, 1000), sample(kBefore, 2000));
  EXPECT_EQ(figures.messages_per_second, 0);
  EXPECT_EQ(compare(sample(kNow, 1000), sample(kNow, 1000)).messages_per_second, 0);
}

TEST(TopSample, QuantileBeyondTheLastBoundIsThatBound) {
  EXPECT_EQ(quantile({}, {{1, 0}, {HUGE_VAL, 5}}, 0.5), 1);
  EXPECT_EQ(quantile({}, {}, 0.5), 0);
  EXPECT_EQ(quantile({{1, 5}, {HUGE_VAL, 5}}, {{1, 5}, {HUGE_VAL, 5}}, 0.5), 0);
}

TEST(TopSample, LinesFitTheirWindow) {
  const TopSample now = sample(kNow, 3000);
  const auto all = top_lines(now, compare(sample(kBefore, 1000), now), 200, 50);
  EXPECT_THAT(all.back(), ::testing::HasSubstr("böb / phone (t)"));
  for (const std::string& line : top_lines(now, {}, 10, 3)) {
    EXPECT_LE(line.size(), 10u);
  }
  EXPECT_EQ(top_lines(now, {}, 200, 3).size(), 3u);
}

TEST(TopSample, PrintsOneObject) {
  const TopSample now = sample(kNow, 3000);
  const std::string json = top_json(now, compare(sample(kBefore, 1000), now));
  EXPECT_THAT(json, ::testing::HasSubstr("\"commits_per_second\":50.000"));
  EXPECT_THAT(json, ::testing::Not(::testing::HasSubstr("\n")));
  EXPECT_TRUE(parse_top_sample(json).ok());
}

}  // namespace
}  // namespace tidemark::app
