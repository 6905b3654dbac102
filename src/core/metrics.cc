#include "core/metrics.h"

#include <dirent.h>
#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>
#include <prometheus/metric_type.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>
#include <utility>

#include "core/result.h"

namespace tidemark {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr auto kRelaxed = std::memory_order_relaxed;

ClientMetric labelled(const MetricLabels& labels) {
  ClientMetric metric;
  for (const auto& [name, value] : labels) {
    metric.label.push_back({name, value});
  }
  return metric;
}

ClientMetric::Histogram cumulative(const Histogram& histogram) {
  const Histogram::Snapshot snapshot = histogram.snapshot();
  ClientMetric::Histogram result;
  result.sample_sum = snapshot.sum;
  for (size_t i = 0; i < histogram.bounds().size(); ++i) {
    result.sample_count += snapshot.counts[i];
    result.bucket.push_back({result.sample_count, histogram.bounds()[i]});
  }
  result.sample_count += snapshot.counts.back();
  return result;
}

// Prometheus data model: names are [a-zA-Z_:][a-zA-Z0-9_:]*, labels the same without ':'.
bool is_valid_name(std::string_view name, bool is_label) {
  const auto letter = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c == ':' && !is_label);
  };
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return !name.empty() && !digit(name[0]) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || digit(c); });
}

void check_labels(const MetricLabels& labels) {
  for (const auto& [name, value] : labels) {
    TIDEMARK_CHECK(is_valid_name(name, true));
  }
}

MetricFamily single(const char* name, const char* help, MetricType type, double value) {
  ClientMetric metric;
  (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  return {name, help, type, {metric}};
}

// The numbers of /proc/self/stat that are shown (proc(5)).
struct ProcessStat {
  double cpu_seconds = 0;
  double threads = 0;
  double start_ticks = 0;  // since boot
  double resident_pages = 0;
};

std::optional<ProcessStat> read_process_stat() {
  std::ifstream file("/proc/self/stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const size_t name_end = text.rfind(')');  // the name may hold spaces and parentheses
  if (name_end == std::string::npos) {
    return std::nullopt;
  }
  std::istringstream rest(text.substr(name_end + 1));
  std::string state;
  rest >> state;
  std::vector<double> fields;  // fields[0] is field 4 of proc(5)
  for (double field; rest >> field;) {
    fields.push_back(field);
  }
  if (fields.size() < 21) {
    return std::nullopt;
  }
  const auto field = [&](size_t number) { return fields[number - 4]; };
  const auto ticks_per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
  return ProcessStat{(field(14) + field(15)) / ticks_per_second, field(20), field(22), field(24)};
}

double boot_unix_seconds() {
  std::ifstream file("/proc/stat");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("btime ")) {
      return std::strtod(line.c_str() + 6, nullptr);
    }
  }
  return 0;
}

size_t open_files() {
  DIR* const directory = opendir("/proc/self/fd");
  if (directory == nullptr) {
    return 0;
  }
  size_t count = 0;
  while (readdir(directory) != nullptr) {
    ++count;
  }
  closedir(directory);
  return count - std::min<size_t>(count, 3);  // ".", ".." and the directory itself
}

void add_process_metrics(std::vector<MetricFamily>& families) {
  if (const auto stat = read_process_stat()) {
    const double started = boot_unix_seconds() + stat->start_ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
    families.push_back(single("process_cpu_seconds_total", "User and system CPU time of the process in seconds.",
                              MetricType::Counter, stat->cpu_seconds));
    families.push_back(single("process_resident_memory_bytes", "Memory of the process that is in RAM.",
                              MetricType::Gauge, stat->resident_pages * static_cast<double>(sysconf(_SC_PAGESIZE))));
    families.push_back(
        single("process_start_time_seconds", "Start of the process in Unix time.", MetricType::Gauge, started));
    families.push_back(single("process_threads", "Threads of the process.", MetricType::Gauge, stat->threads));
  }
  families.push_back(single("process_open_fds", "Open file descriptors.", MetricType::Gauge,
                            static_cast<double>(open_files())));
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    families.push_back(single("process_max_fds", "Limit of open file descriptors.", MetricType::Gauge,
                              static_cast<double>(limit.rlim_cur)));
  }
}

template <class Slots>
auto sum_of(const Slots& slots) {
  decltype(slots[0].count.load()) sum = 0;
  for (const auto& slot : slots) {
    sum += slot.count.load(kRelaxed);
  }
  return sum;
}

}  // namespace

size_t metric_slot() {
  static std::atomic<size_t> threads{0};
  thread_local const size_t slot = threads.fetch_add(1, kRelaxed) % kMetricSlots;
  return slot;
}

uint64_t Counter::value() const { return sum_of(slots_); }

int64_t Gauge::value() const { return sum_of(slots_); }

void Gauge::set(int64_t value) {
  for (size_t i = 1; i < kMetricSlots; ++i) {
    slots_[i].count.store(0, kRelaxed);
  }
  slots_[0].count.store(value, kRelaxed);
}

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)),
      lines_per_slot_((bounds_.size() + 2 + 7) / 8),
      lines_(std::make_unique<Line[]>(lines_per_slot_ * kMetricSlots)) {
  TIDEMARK_CHECK(std::adjacent_find(bounds_.begin(), bounds_.end(), [](double a, double b) { return !(a < b); }) ==
                 bounds_.end());
}

std::atomic<uint64_t>& Histogram::cell(size_t slot, size_t index) const {
  return lines_[slot * lines_per_slot_ + index / 8].cells[index % 8];
}

void Histogram::observe(double value) {
  if (std::isnan(value)) {
    return;
  }
  const size_t slot = metric_slot();
  const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  cell(slot, 1 + static_cast<size_t>(bucket)).fetch_add(1, kRelaxed);
  std::atomic<uint64_t>& sum = cell(slot, 0);
  uint64_t bits = sum.load(kRelaxed);
  while (!sum.compare_exchange_weak(bits, std::bit_cast<uint64_t>(std::bit_cast<double>(bits) + value), kRelaxed)) {
  }
}

Histogram::Snapshot Histogram::snapshot() const {
  Snapshot result{std::vector<uint64_t>(bounds_.size() + 1), 0};
  for (size_t slot = 0; slot < kMetricSlots; ++slot) {
    result.sum += std::bit_cast<double>(cell(slot, 0).load(kRelaxed));
    for (size_t bucket = 0; bucket < result.counts.size(); ++bucket) {
      result.counts[bucket] += cell(slot, 1 + bucket).load(kRelaxed);
    }
  }
  return result;
}

std::vector<double> exponential_bounds(double start, double factor, size_t count) {
  TIDEMARK_CHECK(start > 0 && factor > 1);
  std::vector<double> bounds;
  for (double bound = start; bounds.size() < count; bound *= factor) {
    bounds.push_back(bound);
  }
  return bounds;
}

// All metrics of one name, each with other labels. Nodes of a map do not move, so a reference to a metric lasts.
struct MetricRegistry::Family {
  Type type;
  std::string help;
  std::map<MetricLabels, Counter> counters;
  std::map<MetricLabels, Gauge> gauges;
  std::map<MetricLabels, Histogram> histograms;
  std::map<MetricLabels, std::function<double()>> functions;
};

MetricRegistry::MetricRegistry() = default;
MetricRegistry::~MetricRegistry() = default;

MetricRegistry::Family& MetricRegistry::family(std::string_view name, std::string_view help, Type type) {
  auto found = families_.find(name);
  if (found == families_.end()) {
    TIDEMARK_CHECK(is_valid_name(name, false));
    found = families_.try_emplace(std::string(name)).first;
    found->second.type = type;
    found->second.help = help;
  }
  TIDEMARK_CHECK(found->second.type == type);
  return found->second;
}

Counter& MetricRegistry::counter(std::string_view name, std::string_view help, const MetricLabels& labels) {
  check_labels(labels);
  const std::scoped_lock lock(mutex_);
  return family(name, help, Type::counter).counters.try_emplace(labels).first->second;
}

Gauge& MetricRegistry::gauge(std::string_view name, std::string_view help, const MetricLabels& labels) {
  check_labels(labels);
  const std::scoped_lock lock(mutex_);
  Family& found = family(name, help, Type::gauge);
  TIDEMARK_CHECK(!found.functions.contains(labels));
  return found.gauges.try_emplace(labels).first->second;
}

Histogram& MetricRegistry::histogram(std::string_view name, std::string_view help, std::vector<double> bounds,
                                     const MetricLabels& labels) {
  check_labels(labels);
  const std::scoped_lock lock(mutex_);
  return family(name, help, Type::histogram).histograms.try_emplace(labels, std::move(bounds)).first->second;
}

void MetricRegistry::gauge_function(std::string_view name, std::string_view help, std::function<double()> read,
                                    const MetricLabels& labels) {
  check_labels(labels);
  const std::scoped_lock lock(mutex_);
  Family& found = family(name, help, Type::gauge);
  TIDEMARK_CHECK(!found.gauges.contains(labels));
  found.functions.insert_or_assign(labels, std::move(read));
}

void MetricRegistry::remove_gauge_function(std::string_view name, const MetricLabels& labels) {
  const std::scoped_lock lock(mutex_);
  if (const auto found = families_.find(name); found != families_.end()) {
    found->second.functions.erase(labels);
  }
}

std::string MetricRegistry::expose() const {
  constexpr std::array kTypes = {MetricType::Counter, MetricType::Gauge, MetricType::Histogram};
  std::vector<MetricFamily> families;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [name, family] : families_) {
      MetricFamily shown{name, family.help, kTypes[static_cast<size_t>(family.type)], {}};
      for (const auto& [labels, counter] : family.counters) {
        shown.metric.emplace_back(labelled(labels)).counter.value = static_cast<double>(counter.value());
      }
      for (const auto& [labels, gauge] : family.gauges) {
        shown.metric.emplace_back(labelled(labels)).gauge.value = static_cast<double>(gauge.value());
      }
      for (const auto& [labels, read] : family.functions) {
        shown.metric.emplace_back(labelled(labels)).gauge.value = read();
      }
      for (const auto& [labels, histogram] : family.histograms) {
        shown.metric.emplace_back(labelled(labels)).histogram = cumulative(histogram);
      }
      families.push_back(std::move(shown));
    }
  }
  add_process_metrics(families);
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace tidemark
