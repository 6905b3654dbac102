// What `tidemark top` knows of a node at one moment, and what it shows of two of them.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace tidemark::app {

struct TopConnection {
  std::string tenant, user, device;
  int64_t behind = 0;
  int64_t queue_bytes = 0;
};

struct TopSample {
  std::string node;
  int64_t time_ms = 0;
  bool ready = false;
  bool draining = false;
  int64_t users = 0;
  int64_t connections = 0;
  int64_t queued = 0;
  int64_t behind = 0;
  int64_t queue_bytes = 0;
  std::vector<TopConnection> slowest;
  std::map<std::string, double, std::less<>> values;  // of the metrics, summed over labels
  // Cumulative counts by upper bound.
  std::map<std::string, std::map<double, double>, std::less<>> histograms;
};

// The answer of the operation `stats`.
Result<TopSample> parse_top_sample(std::string_view json);

// What happened between two samples.
struct TopFigures {
  double seconds = 0;
  double messages_per_second = 0;  // from clients
  double commits_per_second = 0;
  double appends_per_second = 0;
  double deliveries_per_second = 0;
  double replayed_per_second = 0;
  double batch = 0;  // changes of a commit, mean
  double commit_p50_ms = 0, commit_p99_ms = 0;
  double append_p50_ms = 0, append_p99_ms = 0;
  double cpu_percent = 0;
  double resident_bytes = 0;
};
TopFigures compare(const TopSample& before, const TopSample& now);

// The q-th part (0 to 1) of what was observed between two states of a histogram, in its unit; 0 when nothing was.
double quantile(const std::map<double, double>& before, const std::map<double, double>& now, double q);

// Lines for people, none wider than `width` characters; at most `height` of them.
std::vector<std::string> top_lines(const TopSample& now, const TopFigures& figures, size_t width, size_t height);
// One JSON object.
std::string top_json(const TopSample& now, const TopFigures& figures);

}  // namespace tidemark::app
