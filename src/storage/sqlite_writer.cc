#include "storage/sqlite_writer.h"

#include <chrono>
#include <thread>

#include "core/log.h"
#include "core/memory.h"
#include "core/seeded_fault.h"
#include "storage/stepper.h"

namespace tidemark::storage {
namespace {

constexpr int kCacheStepKib = 4096;
constexpr double kBatchUnderLoad = 6;
constexpr double kBatchMeanWeight = 0.125;

bool is_failed_sync(int code) { return code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC; }

void refuse(const std::vector<Job*>& jobs) {
  for (Job* const job : jobs) {
    JobRunner::set_status(*job, fail(Code::unavailable));
  }
}

}  // namespace

void StoreHealth::note_failure(std::string_view during, int code) {
  log_error("storage.failed", {{"during", during}, {"sqlite_code", code}});
  note_damage(code);
  if (is_failed_sync(code) && good_.exchange(false) && options_.on_failure) {
    options_.on_failure();
  }
}

void StoreHealth::note_damage(int code) const {
  if (is_damage(code)) {
    log_error("storage.damaged", {{"file", options_.path}, {"sqlite_code", code},
                                  {"do", "stop the node and restore a backup"}});
  }
}

SqliteWriter::SqliteWriter(const SqliteOptions& options, std::unique_ptr<SqliteConnection> connection, JobQueue& queue,
                           StoreHealth& health, MetricRegistry& metrics)
    : options_(options),
      queue_(queue),
      health_(health),
      connection_(std::move(connection)),
      sync_([this](int code) { health_.note_failure("sync", code); },
            metrics.histogram("tidemark_commit_seconds", "Time of one COMMIT with its fsync.",
                              exponential_bounds(0.0001, 2, 16)),
            options.held_reads_max),
      batch_jobs_(metrics.histogram("tidemark_commit_batch_size", "Closures committed together.",
                                    exponential_bounds(1, 2, 11))),
      failed_batches_(metrics.counter("tidemark_commit_failures_total", "Batches that could not be committed.")) {
  sqlite3_wal_hook(
      connection_->handle(),
      [](void* self, sqlite3*, const char*, int frames) {
        static_cast<SqliteWriter*>(self)->wal_frames_ = frames;
        static_cast<SqliteWriter*>(self)->log_grew_ = true;
        return SQLITE_OK;
      },
      this);
}

void SqliteWriter::loop() {
  std::vector<Job*> jobs;
  for (;;) {
    queue_.take(jobs, options_.batch_jobs_max, 1, [this] { idle(); });
    if (jobs.empty()) {
      return;
    }
    run_batch(jobs);
    answer_batch(jobs);
  }
}

bool SqliteWriter::step() {
  if (!answering_.empty()) {
    answer_batch(answering_);
    answering_.clear();
    return true;
  }
  queue_.take_now(answering_, std::min(options_.batch_jobs_max, options_.stepper->batch_jobs_max));
  if (answering_.empty()) {
    return false;
  }
  run_batch(answering_);
  return true;
}

void SqliteWriter::end() {
  if (sync_.wait() && health_.good()) {
    checkpoint(SQLITE_CHECKPOINT_TRUNCATE);
  }
  if (!health_.good()) {
    connection_->leave_the_wal();  // its close would be one more checkpoint, with one more fsync
  }
}

// After it, the batch is committed or refused, and no other waits for its sync.
void SqliteWriter::run_batch(std::vector<Job*>& jobs) {
  to_sync_ = false;
  const bool committed = health_.good() && commit_batch(jobs);
  sync_.wait();
  if (!committed) {
    failed_batches_.add();
    refuse(jobs);
    return;
  }
  to_sync_ = log_grew_ && options_.synchronous_full && !TIDEMARK_FAULT(skipped_fsync);
  if (!to_sync_) {
    sync_.commit_done();
  } else if (options_.stepper != nullptr) {
    to_sync_ = false;
    if (!sync_.sync_now(*log_file())) {
      refuse(jobs);
    }
  }
}

// False: nothing of the batch was committed, as far as can be known.
bool SqliteWriter::commit_batch(std::vector<Job*>& jobs) {
  bool begun = false;
  try {
    if (const int code = run_closures(jobs); code != SQLITE_OK) {
      health_.note_failure("closure", code);
      return false;
    }
    if (!sync_.wait()) {
      connection_->rollback();
      return false;
    }
    if (TIDEMARK_FAULT(ack_before_commit)) {
      JobRunner::finish(jobs);
      jobs.clear();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    log_grew_ = false;
    begun = true;
    sync_.begin_commit();
    connection_->commit();
    const auto size = static_cast<double>(jobs.size());
    batch_jobs_.observe(size);
    batch_jobs_mean_ += (size - batch_jobs_mean_) * kBatchMeanWeight;
    return true;
  } catch (const StatementFailed& failed) {
    health_.note_failure("commit", failed.native_code);
    connection_->rollback();
    if (begun) {
      sync_.commit_failed();
    }
    return false;
  }
}

// Closures check before they change, so that one that fails has nearly always changed nothing. Where one may have, all
// of them run again with savepoints.
// While the log of the batch before is being synced there is no hurry: what comes meanwhile joins.
int SqliteWriter::run_closures(std::vector<Job*>& jobs) {
  Undo undo = Undo::batch;
  size_t ran_already = 0;
  bool may_join = sync_.busy();
  connection_->begin();
  for (;;) {
    const Ran ran = run_from(jobs, ran_already, undo);
    if (ran.leftovers) {
      connection_->rollback();
      connection_->begin();
      undo = Undo::closure;
      ran_already = 0;
      continue;
    }
    if (ran.code != SQLITE_OK) {
      connection_->rollback();
      return ran.code;
    }
    ran_already = jobs.size();
    if (!may_join) {
      return SQLITE_OK;
    }
    queue_.take_now(jobs, options_.batch_jobs_max);
    if (jobs.size() == ran_already) {
      sync_.wait();
      queue_.take_now(jobs, options_.batch_jobs_max);
    }
    may_join = sync_.busy();
  }
}

SqliteWriter::Ran SqliteWriter::run_from(const std::vector<Job*>& jobs, size_t first, Undo undo) {
  Ran ran;
  for (size_t i = first; i < jobs.size() && ran.code == SQLITE_OK && !ran.leftovers; ++i) {
    ran = run_closure(*jobs[i], undo);
  }
  return ran;
}

SqliteWriter::Ran SqliteWriter::run_closure(Job& job, Undo undo) {
  if (undo == Undo::closure) {
    connection_->savepoint();
  }
  Status status;
  int code = SQLITE_ABORT;  // rolled back, and the closure did not let us know why
  try {
    status = JobRunner::run(job, *connection_);
  } catch (const StatementFailed& failed) {
    status = failed.error;
    code = failed.native_code;
  }
  const bool may_have_written = connection_->may_have_written();
  connection_->reset_statements();
  if (!connection_->in_transaction() || is_failed_sync(code)) {
    return {.code = code};
  }
  health_.note_damage(code);
  if (undo == Undo::batch) {
    if (!status.ok() && may_have_written) {
      return {.leftovers = true};
    }
  } else if (status.ok()) {
    connection_->release();
  } else {
    connection_->rollback_to_savepoint();
  }
  JobRunner::set_status(job, std::move(status));
  return {};
}

// With nobody waiting to write, the way over another thread would only cost time.
void SqliteWriter::answer_batch(std::vector<Job*>& jobs) {
  sqlite3_file* const log = to_sync_ ? log_file() : nullptr;
  if (log == nullptr || queue_.empty() || !sync_.hand_over(*log, jobs)) {
    if (log != nullptr && !sync_.sync_now(*log)) {
      refuse(jobs);
    }
    JobRunner::finish(jobs);
  }
  tend_log();
}

void SqliteWriter::tend_log() {
  const bool wipe = wipe_.exchange(false);
  if (!wipe && !wants_checkpoint()) {
    return;
  }
  if (sync_.wait() && health_.good()) {
    const bool whole = checkpoint(wipe ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE);
    wiped_.store(wipe && whole);
  }
}

// Small checkpoints keep the tail short while there is time. Under load they wait, because the same pages are written
// again and again and a later checkpoint copies each of them once. That the queue is empty for a moment says little:
// those who were just answered are about to come back. That many come together does.
bool SqliteWriter::wants_checkpoint() const {
  if (wal_frames_ < frames_checkpointed_) {
    return wal_frames_ >= options_.checkpoint_frames;  // the WAL has begun anew
  }
  const int frames = wal_frames_ - frames_checkpointed_;
  const bool has_time = batch_jobs_mean_ < kBatchUnderLoad && queue_.empty();
  return frames >= options_.checkpoint_frames_max || (frames >= options_.checkpoint_frames && has_time);
}

// False: not all of the log could be taken over, or not be cut off.
bool SqliteWriter::checkpoint(int mode) {
  int frames = 0;
  int done = 0;
  const int code = sqlite3_wal_checkpoint_v2(connection_->handle(), nullptr, mode, &frames, &done);
  if (code != SQLITE_OK && code != SQLITE_BUSY) {
    health_.note_failure("checkpoint", sqlite3_extended_errcode(connection_->handle()));
  }
  frames_checkpointed_ = wal_frames_;
  return code == SQLITE_OK;
}

sqlite3_file* SqliteWriter::log_file() {
  sqlite3_file* log = nullptr;
  sqlite3_file_control(connection_->handle(), "main", SQLITE_FCNTL_JOURNAL_POINTER, static_cast<void*>(&log));
  TIDEMARK_CHECK(log != nullptr && log->pMethods != nullptr);
  return log;
}

// Gives memory back, a little at a time: who comes meanwhile is not kept waiting.
void SqliteWriter::idle() {
  for (int kib = kCacheWriterKib - kCacheStepKib; kib > 0 && queue_.empty(); kib -= kCacheStepKib) {
    connection_->set_cache_kib(kib);
  }
  if (queue_.empty()) {
    connection_->release_memory();
    sync_.do_aside(&release_unused_memory);
  }
  connection_->set_cache_kib(kCacheWriterKib);
}

}  // namespace tidemark::storage
