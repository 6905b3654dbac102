#include "stream/replay_plan.h"

#include <algorithm>

namespace tidemark::stream {

std::vector<PlannedReplay> plan_replay(const std::vector<ReplayCandidate>& candidates, ReplayLimits limits) {
  std::vector<PlannedReplay> plans;
  int64_t left = limits.total;
  for (const ReplayCandidate& one : candidates) {
    const int64_t kept = std::max(one.floor, one.first - 1);  // nothing up to here can be sent
    const int64_t wanted = std::min(one.cursor.value_or(kept), one.head);
    PlannedReplay plan;
    plan.position = std::min(std::max(wanted, kept), one.head);
    const int64_t allowed = std::min(limits.per_stream, left);
    plan.position = std::max(plan.position, one.head - allowed);
    plan.entries = one.head - plan.position;
    plan.has_gap = plan.position > wanted;
    plan.gap_after = wanted;
    left -= plan.entries;
    plans.push_back(plan);
  }
  return plans;
}

}  // namespace tidemark::stream
