#include "core/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <string>
#include <thread>
#include <vector>

namespace tidemark {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;
using testing::HasSubstr;

// The value on the line that starts with `series` and a space, NaN if there is none.
double exposed(const MetricRegistry& registry, const std::string& series) {
  const std::string text = "\n" + registry.expose();
  const size_t at = text.find("\n" + series + " ");
  return at == std::string::npos ? std::nan("") : std::strtod(text.c_str() + at + series.size() + 2, nullptr);
}

void in_threads(int count, const std::function<void()>& work) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back(work);
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

TEST(Metrics, CountsFromManyThreadsLoseNothing) {
  Counter counter;
  Gauge gauge;
  Histogram histogram({1, 2});
  in_threads(24, [&] {
    for (int i = 0; i < 1'000; ++i) {
      counter.add();
      counter.add(2);
      gauge.add(i % 2 == 0 ? 3 : -2);
      histogram.observe(0.5);
    }
  });
  EXPECT_EQ(counter.value(), 72'000u);
  EXPECT_EQ(gauge.value(), 12'000);
  EXPECT_THAT(histogram.snapshot().counts, ElementsAre(24'000, 0, 0));
  EXPECT_EQ(histogram.snapshot().sum, 12'000);
}

TEST(Metrics, ThreadsGetDifferentSlots) {
  const size_t mine = metric_slot();
  EXPECT_EQ(metric_slot(), mine);
  EXPECT_LT(mine, kMetricSlots);
  size_t first = 0;
  size_t second = 0;
  std::thread([&] { first = metric_slot(); }).join();
  std::thread([&] { second = metric_slot(); }).join();
  EXPECT_EQ(second, (first + 1) % kMetricSlots);
}

TEST(Metrics, SetReplacesWhatAllThreadsAdded) {
  Gauge gauge;
  in_threads(20, [&] { gauge.add(5); });
  gauge.set(-7);
  EXPECT_EQ(gauge.value(), -7);
  gauge.set(9);
  EXPECT_EQ(gauge.value(), 9);
}

TEST(Histogram, BoundsBelongToTheirBucket) {
  Histogram histogram({-1, 0.5, 10});
  for (const double value : {-1.0, -0.99, 0.5, 0.51, 10.0, 10.01, 1e300}) {
    histogram.observe(value);
  }
  EXPECT_THAT(histogram.snapshot().counts, ElementsAre(1, 2, 2, 2));
}

TEST(Histogram, TakesInfinityAndIgnoresNan) {
  Histogram histogram({1});
  histogram.observe(std::nan(""));
  histogram.observe(std::numeric_limits<double>::infinity());
  EXPECT_THAT(histogram.snapshot().counts, ElementsAre(0, 1));
  EXPECT_TRUE(std::isinf(histogram.snapshot().sum));
}

TEST(Histogram, KeepsManyBucketsApart) {
  const std::vector<double> bounds = exponential_bounds(1, 2, 30);
  Histogram histogram(bounds);
  for (size_t i = 0; i < bounds.size(); ++i) {
    for (size_t n = 0; n <= i; ++n) {
      histogram.observe(bounds[i]);
    }
  }
  const auto counts = histogram.snapshot().counts;
  for (size_t i = 0; i < bounds.size(); ++i) {
    EXPECT_EQ(counts[i], i + 1);
  }
}

TEST(Histogram, ExponentialBoundsMultiply) {
  EXPECT_THAT(exponential_bounds(0.5, 4, 4), ElementsAre(DoubleEq(0.5), DoubleEq(2), DoubleEq(8), DoubleEq(32)));
}

TEST(HistogramDeathTest, BoundsMustGrow) {
  EXPECT_DEATH(Histogram({1, 1}), "broken invariant");
  EXPECT_DEATH(Histogram({2, 1}), "broken invariant");
}

TEST(MetricRegistry, SameNameAndLabelsAreTheSameObject) {
  MetricRegistry registry;
  Counter& gap = registry.counter("tidemark_replays_total", "Replays.", {{"outcome", "gap"}});
  EXPECT_EQ(&registry.counter("tidemark_replays_total", "Replays.", {{"outcome", "gap"}}), &gap);
  EXPECT_NE(&registry.counter("tidemark_replays_total", "Replays.", {{"outcome", "resumed"}}), &gap);
  Histogram& seconds = registry.histogram("tidemark_commit_seconds", "Commits.", {1, 2});
  EXPECT_EQ(&registry.histogram("tidemark_commit_seconds", "Commits.", {7}), &seconds);
  EXPECT_THAT(seconds.bounds(), ElementsAre(1, 2));
}

TEST(MetricRegistry, ExposesThePrometheusTextFormat) {
  MetricRegistry registry;
  registry.counter("websocket_connections_total", "Connections ever opened.").add(3);
  registry.gauge("websocket_connections_active", "Open connections.").add(-2);
  registry.gauge_function("tidemark_queue_bytes", "Queued.", [] { return 1.5; }, {{"stage", "a \"b\"\n"}});
  Histogram& histogram = registry.histogram("tidemark_commit_seconds", "Commit time.", {0.5, 1}, {{"room", "storage"}});
  for (const double value : {0.25, 0.75, 0.75, 4.0}) {
    histogram.observe(value);
  }
  const std::string text = registry.expose();
  EXPECT_THAT(text, HasSubstr("# HELP websocket_connections_total Connections ever opened.\n"
                              "# TYPE websocket_connections_total counter\n"
                              "websocket_connections_total 3\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE websocket_connections_active gauge\nwebsocket_connections_active -2\n"));
  EXPECT_THAT(text, HasSubstr("tidemark_queue_bytes{stage=\"a \\\"b\\\"\\n\"} 1.5\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE tidemark_commit_seconds histogram\n"
                              "tidemark_commit_seconds_count{room=\"storage\"} 4\n"
                              "tidemark_commit_seconds_sum{room=\"storage\"} 5.75\n"
                              "tidemark_commit_seconds_bucket{room=\"storage\",le=\"0.5\"} 1\n"
                              "tidemark_commit_seconds_bucket{room=\"storage\",le=\"1\"} 3\n"
                              "tidemark_commit_seconds_bucket{room=\"storage\",le=\"+Inf\"} 4\n"));
}

TEST(MetricRegistry, LargeCountsKeepTheirDigits) {
  MetricRegistry registry;
  registry.counter("big_total", "Big.").add(9'007'199'254'740'991);
  EXPECT_THAT(registry.expose(), HasSubstr("big_total 9007199254740991\n"));
}

TEST(MetricRegistry, AGaugeFunctionCanBeReplacedAndRemoved) {
  MetricRegistry registry;
  registry.gauge_function("tidemark_lag", "Lag.", [] { return 1; });
  registry.gauge_function("tidemark_lag", "Lag.", [] { return 2; });
  EXPECT_EQ(exposed(registry, "tidemark_lag"), 2);
  registry.remove_gauge_function("tidemark_lag");
  registry.remove_gauge_function("tidemark_unknown");
  EXPECT_TRUE(std::isnan(exposed(registry, "tidemark_lag")));
}

TEST(MetricRegistry, ExposesTheProcess) {
  const MetricRegistry registry;
  EXPECT_GT(exposed(registry, "process_resident_memory_bytes"), 100'000);
  EXPECT_GE(exposed(registry, "process_open_fds"), 3);
  EXPECT_LT(exposed(registry, "process_open_fds"), exposed(registry, "process_max_fds"));
  EXPECT_GE(exposed(registry, "process_threads"), 1);
  EXPECT_GE(exposed(registry, "process_cpu_seconds_total"), 0);
  const auto now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  EXPECT_GT(exposed(registry, "process_start_time_seconds"), now - 3'600);
  EXPECT_LT(exposed(registry, "process_start_time_seconds"), now + 2);
}

TEST(MetricRegistry, CountsOpenFiles) {
  const MetricRegistry registry;
  const double before = exposed(registry, "process_open_fds");
  std::FILE* const file = std::fopen("/dev/null", "r");
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(exposed(registry, "process_open_fds"), before + 1);
  std::fclose(file);
}

TEST(MetricRegistry, RegisteringAndExposingRunBesideCounting) {
  MetricRegistry registry;
  in_threads(4, [&] {
    for (int i = 0; i < 50; ++i) {
      registry.counter("n_total", "N.", {{"i", std::to_string(i % 7)}}).add();
      EXPECT_THAT(registry.expose(), HasSubstr("n_total"));
    }
  });
  uint64_t sum = 0;
  for (int i = 0; i < 7; ++i) {
    sum += registry.counter("n_total", "N.", {{"i", std::to_string(i)}}).value();
  }
  EXPECT_EQ(sum, 200u);
}

TEST(MetricRegistryDeathTest, RefusesBadNamesAndAChangeOfType) {
  MetricRegistry registry;
  registry.counter("a_total", "A.");
  EXPECT_DEATH(registry.gauge("a_total", "A."), "broken invariant");
  EXPECT_DEATH(registry.counter("7_total", "A."), "broken invariant");
  EXPECT_DEATH(registry.counter("", "A."), "broken invariant");
  EXPECT_DEATH(registry.counter("a-b", "A."), "broken invariant");
  EXPECT_DEATH(registry.counter("b_total", "B.", {{"a:b", "x"}}), "broken invariant");
}

}  // namespace
}  // namespace tidemark
