#include "app/bench/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace tidemark::app {

// A value of b bits keeps its upper eleven; each bit that is dropped moves it on by half a linear range, because the
// uppermost of the eleven is then always set.
size_t Histogram::bucket_of(uint64_t value) {
  const int dropped = std::max(0, static_cast<int>(std::bit_width(value)) - kLinearBits);
  return dropped * kHalf + (value >> dropped);
}

uint64_t Histogram::end_of(size_t bucket) {
  if (bucket < 2 * kHalf) {
    return bucket;
  }
  const uint64_t dropped = bucket / kHalf - 1;
  return ((bucket - dropped * kHalf + 1) << dropped) - 1;
}

void Histogram::record(std::chrono::nanoseconds value) {
  const int64_t nanoseconds = std::clamp<int64_t>(value.count(), 0, kMax.count());
  ++buckets_[bucket_of(static_cast<uint64_t>(nanoseconds))];
  ++count_;
  max_ = std::max(max_, nanoseconds);
}

void Histogram::merge(const Histogram& other) {
  for (size_t i = 0; i < kBuckets; ++i) {
    buckets_[i] += other.buckets_[i];
  }
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
}

std::chrono::nanoseconds Histogram::percentile(double percent) const {
  // 99.9 is a little more than 999 of 1000 in binary, which must not become all 1000.
  const double share = std::nextafter(percent, 0.0) * static_cast<double>(count_) / 100;
  const auto wanted = std::max<uint64_t>(1, static_cast<uint64_t>(std::ceil(share)));
  uint64_t seen = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    seen += buckets_[i];
    if (seen >= wanted) {
      return std::chrono::nanoseconds(std::min<int64_t>(static_cast<int64_t>(end_of(i)), max_));
    }
  }
  return max();
}

}  // namespace tidemark::app
