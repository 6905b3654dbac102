// Metrics that cost the hot path one uncontended atomic addition, exposed in the Prometheus text format.
//
// Each metric is spread over 16 slots, one cache line or more each; a thread adds to the slot of its own number, and
// reading sums the slots. A sum taken while others add is one that some order of the additions could have shown.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark {

inline constexpr size_t kMetricSlots = 16;

// The slot of the calling thread, given out round robin at its first use.
size_t metric_slot();

// Only grows. Any thread.
class Counter {
 public:
  void add(uint64_t n = 1) { slots_[metric_slot()].count.fetch_add(n, std::memory_order_relaxed); }
  uint64_t value() const;

 private:
  struct alignas(64) Slot {
    std::atomic<uint64_t> count{0};
  };
  std::array<Slot, kMetricSlots> slots_;
};

// Goes up and down. Any thread. A gauge is either added to or set: a set() may swallow an add() of the same moment.
class Gauge {
 public:
  void add(int64_t n) { slots_[metric_slot()].count.fetch_add(n, std::memory_order_relaxed); }
  void set(int64_t value);
  int64_t value() const;

 private:
  struct alignas(64) Slot {
    std::atomic<int64_t> count{0};
  };
  std::array<Slot, kMetricSlots> slots_;
};

// Observations counted in buckets with fixed upper bounds (inclusive), as Prometheus wants them. Any thread.
class Histogram {
 public:
  struct Snapshot {
    std::vector<uint64_t> counts;  // per bucket, not cumulative; one more than there are bounds: the rest
    double sum = 0;
  };

  // `bounds` must grow strictly. NaN is not observed.
  explicit Histogram(std::vector<double> bounds);
  void observe(double value);

  const std::vector<double>& bounds() const { return bounds_; }
  Snapshot snapshot() const;

 private:
  struct alignas(64) Line {
    std::array<std::atomic<uint64_t>, 8> cells{};  // the sum is kept as the bits of a double
  };

  std::atomic<uint64_t>& cell(size_t slot, size_t index) const;

  std::vector<double> bounds_;
  size_t lines_per_slot_;
  std::unique_ptr<Line[]> lines_;  // a slot: its sum, then its counts
};

// start, start * factor, start * factor^2, … `count` bounds.
std::vector<double> exponential_bounds(double start, double factor, size_t count);

using MetricLabels = std::map<std::string, std::string>;

// All metrics of the process. One is made by the program's wiring and outlives everything that counts.
//
// Any thread; registering and exposing take a lock, counting does not. A returned reference lives as long as the
// registry; the same name and labels give the same object. A name has one type, and a bad name is a broken invariant.
class MetricRegistry {
 public:
  MetricRegistry();
  ~MetricRegistry();
  MetricRegistry(const MetricRegistry&) = delete;
  MetricRegistry& operator=(const MetricRegistry&) = delete;

  Counter& counter(std::string_view name, std::string_view help, const MetricLabels& labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, const MetricLabels& labels = {});
  // `bounds` counts only at the first call for this name and these labels.
  Histogram& histogram(std::string_view name, std::string_view help, std::vector<double> bounds,
                       const MetricLabels& labels = {});
  // `read` is called by expose(), on its thread and under the lock: it must not wait, throw or use the registry. A
  // second function for the same name and labels replaces the first.
  void gauge_function(std::string_view name, std::string_view help, std::function<double()> read,
                      const MetricLabels& labels = {});
  // Before the object that the function reads goes; waits for an expose() that is under way.
  void remove_gauge_function(std::string_view name, const MetricLabels& labels = {});

  // Everything in the Prometheus text format 0.0.4, with process_* of this process.
  std::string expose() const;

 private:
  enum class Type : uint8_t { counter, gauge, histogram };
  struct Family;
  Family& family(std::string_view name, std::string_view help, Type type);

  mutable std::mutex mutex_;
  std::map<std::string, Family, std::less<>> families_;
};

}  // namespace tidemark
