// Which entries a device gets when it comes back. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace tidemark::stream {

struct ReplayCandidate {
  std::optional<int64_t> cursor;  // the device's; none: it never confirmed anything
  int64_t first = 1;              // the first entry that it may get
  int64_t floor = 0;              // entries up to here are no longer kept
  int64_t head = 0;
};

struct PlannedReplay {
  int64_t position = 0;  // entries after this one are sent
  int64_t entries = 0;
  bool has_gap = false;  // entries after `gap_after` and up to `position` are not sent
  int64_t gap_after = 0;
};

struct ReplayLimits {
  int64_t per_stream = 1000;  // newest entries of one stream
  int64_t total = 10000;      // of all streams; the first candidates come first
};

// One plan per candidate, in their order. A device without a cursor begins with what is kept, which is no gap; entries
// above a limit are one.
std::vector<PlannedReplay> plan_replay(const std::vector<ReplayCandidate>& candidates, ReplayLimits limits);

}  // namespace tidemark::stream
