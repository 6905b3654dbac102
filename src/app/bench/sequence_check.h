// Verifies that numbered messages arrive once each and in order.
#pragma once

#include <cstdint>
#include <set>

namespace tidemark::app {

// Counts of what went wrong; all zero is what a correct server gives.
struct Violations {
  uint64_t lost = 0;          // never arrived
  uint64_t doubled = 0;       // arrived again
  uint64_t out_of_order = 0;  // arrived, but after one with a higher number

  Violations& operator+=(const Violations& other) {
    lost += other.lost;
    doubled += other.doubled;
    out_of_order += other.out_of_order;
    return *this;
  }
  friend bool operator==(const Violations&, const Violations&) = default;
};

// One receiver's view of messages 0, 1, 2, … Owner: one thread. Holds memory only for numbers that were skipped.
class SequenceCheck {
 public:
  // Takes note of an arrival. True: it is the first arrival of this number.
  bool arrived(uint64_t number) {
    if (number == next_) {
      ++next_;
      return true;
    }
    return arrived_elsewhere(number);
  }

  // The number that would be in order now.
  uint64_t next() const { return next_; }
  // The final count when 0 to `sent` - 1 were sent.
  Violations violations(uint64_t sent) const;

 private:
  bool arrived_elsewhere(uint64_t number);

  uint64_t next_ = 0;
  std::set<uint64_t> skipped_;
  Violations violations_;
};

}  // namespace tidemark::app
