// Stepper: storage without threads: whoever holds it says when the database works. For simulation.
//
// Owner: one thread, which also steps the workers. Given to the database when it is opened.
#pragma once

#include <functional>
#include <vector>

namespace tidemark::storage {

class Stepper {
 public:
  // Half of a piece of work: runs what waits in the lane (lane 0 is the writer and its batches, the others are readers),
  // or hands out the answers of what it ran in the step before: between the two, others go on. False: nothing to do.
  bool step(size_t lane) { return lanes_[lane](); }
  size_t lanes() const { return lanes_.size(); }

  size_t batch_jobs_max = SIZE_MAX;  // closures in the next batches, if less than the database's own limit
  size_t read_jobs_max = SIZE_MAX;   // the same of reads that share a snapshot
  std::function<void()> on_submit;   // a job waits; called in the turn that made it. May step: storage can be that fast

  // By the database.
  void set_lanes(std::vector<std::function<bool()>> lanes) { lanes_ = std::move(lanes); }

 private:
  std::vector<std::function<bool()>> lanes_;
};

}  // namespace tidemark::storage
