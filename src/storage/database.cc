#include "storage/database.h"

#include <vector>

namespace tidemark::storage {

void JobRunner::finish(std::span<Job* const> jobs) {
  struct Batch {
    Worker* worker;
    std::vector<Callback> resumptions;
  };
  std::vector<Batch> batches;
  for (Job* const job : jobs) {
    if (job->worker_ == nullptr) {
      job->finished();
      continue;
    }
    Batch* batch = nullptr;
    for (Batch& known : batches) {
      if (known.worker == job->worker_) {
        batch = &known;
      }
    }
    if (batch == nullptr) {
      batch = &batches.emplace_back(Batch{job->worker_, {}});
    }
    batch->resumptions.emplace_back([waiting = job->waiting_] { waiting.resume(); });
  }
  for (Batch& batch : batches) {
    batch.worker->post_all(batch.resumptions);
  }
}

}  // namespace tidemark::storage
