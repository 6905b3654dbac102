// TurnJobs: what one worker asks for in one turn goes to the storage threads in one piece: they are woken once for all of
// it, and a writer begins with a batch and not with the first job of it. Used only by databases.
//
// Owner: each worker's part is the worker's. A worker of another pool finds its place taken, and does without.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <span>
#include <vector>

#include "storage/database.h"

namespace tidemark::storage {

class TurnJobs {
 public:
  // Takes jobs to a queue; called on the worker that asked, `worker` is its index.
  using Push = std::function<void(std::span<Job* const> jobs, bool writes, size_t worker)>;

  explicit TurnJobs(Push push) : push_(std::move(push)) {}

  // Now, or at the end of the current worker's turn.
  void submit(Job& job, bool writes) {
    Worker* const worker = Worker::current();
    const size_t index = worker == nullptr ? 0 : static_cast<size_t>(worker->index());
    const bool turn_goes_on = worker != nullptr && !JobRunner::blocks(job);
    if (turn_goes_on && parts_[index].serves(*worker)) {
      parts_[index].add(*this, *worker, job, writes);
      return;
    }
    Job* const one = &job;
    push_({&one, 1}, writes, index);
  }

 private:
  static constexpr size_t kGatheredMax = 32;  // jobs that go at once: a long turn does not keep storage idle

  class Part final : public Flushable {
   public:
    bool serves(Worker& worker) {
      Worker* nobody = nullptr;
      return worker_.load(std::memory_order_relaxed) == &worker || worker_.compare_exchange_strong(nobody, &worker);
    }
    void add(TurnJobs& all, Worker& worker, Job& job, bool writes) {
      all_ = &all;
      index_ = static_cast<size_t>(worker.index());
      std::vector<Job*>& jobs = writes ? writes_ : reads_;
      jobs.push_back(&job);
      if (jobs.size() == kGatheredMax) {
        flush();
      } else {
        worker.hand_over_later(*this);
      }
    }
    void flush() override {
      all_->push_(writes_, true, index_);
      all_->push_(reads_, false, index_);
      writes_.clear();
      reads_.clear();
    }

   private:
    std::atomic<Worker*> worker_{nullptr};
    TurnJobs* all_ = nullptr;
    size_t index_ = 0;
    std::vector<Job*> writes_;
    std::vector<Job*> reads_;
  };

  const Push push_;
  std::array<Part, kWorkersMax> parts_;  // by the index of the worker
};

}  // namespace tidemark::storage
