// A histogram of durations with three significant digits at every size, after HdrHistogram (Gil Tene): linear below
// 2048 ns, then 1024 equal buckets for each doubling.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <vector>

namespace tidemark::app {

// Owner: one thread; merge() the histograms of several.
// Promises: a percentile is at most 0.1 % above the true value and never below it, nor above the greatest one recorded.
// Recording neither allocates nor fails. Negative durations count as 0, those above kMax as kMax (73 minutes).
class Histogram {
 public:
  static constexpr std::chrono::nanoseconds kMax{(int64_t{1} << 42) - 1};

  Histogram() : buckets_(kBuckets) {}

  void record(std::chrono::nanoseconds value);
  void merge(const Histogram& other);

  uint64_t count() const { return count_; }
  // The smallest bucket's end below or at which `percent` (0 to 100) of all values lie; 0 if there are none.
  std::chrono::nanoseconds percentile(double percent) const;
  std::chrono::nanoseconds max() const { return std::chrono::nanoseconds(max_); }

 private:
  static constexpr int kLinearBits = 11;
  static constexpr uint64_t kHalf = uint64_t{1} << (kLinearBits - 1);
  static constexpr size_t kBuckets = (42 - kLinearBits) * kHalf + 2 * kHalf;

  static size_t bucket_of(uint64_t value);
  static uint64_t end_of(size_t bucket);

  std::vector<uint64_t> buckets_;
  uint64_t count_ = 0;
  int64_t max_ = 0;
};

}  // namespace tidemark::app
