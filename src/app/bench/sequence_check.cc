#include "app/bench/sequence_check.h"

namespace tidemark::app {

bool SequenceCheck::arrived_elsewhere(uint64_t number) {
  if (number > next_) {
    for (; next_ < number; ++next_) {
      skipped_.insert(next_);
    }
    ++next_;
    return true;
  }
  if (skipped_.erase(number) == 1) {
    ++violations_.out_of_order;
    return true;
  }
  ++violations_.doubled;
  return false;
}

Violations SequenceCheck::violations(uint64_t sent) const {
  Violations all = violations_;
  all.lost = skipped_.size() + (sent > next_ ? sent - next_ : 0);
  return all;
}

}  // namespace tidemark::app
