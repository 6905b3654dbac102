#include "storage/sqlite_database.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <thread>
#include <vector>

#include "core/log.h"
#include "core/memory.h"
#include "core/seeded_fault.h"
#include "storage/sqlite_connection.h"

namespace tidemark::storage {
namespace {

constexpr auto kIdleAfter = std::chrono::seconds(2);
constexpr auto kIdleAgain = std::chrono::seconds(30);
constexpr size_t kReadsTogether = 16;

// Jobs waiting for a storage thread. Owner: shared, guarded by its own mutex.
class JobQueue {
 public:
  explicit JobQueue(size_t jobs_max) : jobs_max_(jobs_max) {}

  bool push(Job& job) {
    const std::lock_guard lock(mutex_);
    if (closed_ || jobs_.size() >= jobs_max_) {
      return false;
    }
    jobs_.push_back(&job);
    ready_.notify_one();
    return true;
  }
  // Waits for work; takes up to `count`, but leaves the others of `takers` their share. Empty: the queue is closed and
  // drained. `idle()` is called when nothing has come for a while, and again from time to time.
  template <class Idle>
  void take(std::vector<Job*>& jobs, size_t count, size_t takers, Idle idle) {
    jobs.clear();
    std::unique_lock lock(mutex_);
    const auto has_work = [this] { return closed_ || !jobs_.empty(); };
    for (auto patience = kIdleAfter; !ready_.wait_for(lock, patience, has_work); patience = kIdleAgain) {
      lock.unlock();
      idle();
      lock.lock();
    }
    move_some(jobs, std::clamp<size_t>((jobs_.size() + takers - 1) / takers, 1, count));
  }
  // The same without waiting.
  void take_now(std::vector<Job*>& jobs, size_t count) {
    jobs.clear();
    const std::lock_guard lock(mutex_);
    move_some(jobs, count);
  }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    ready_.notify_all();
  }
  bool empty() const {
    const std::lock_guard lock(mutex_);
    return jobs_.empty();
  }

 private:
  void move_some(std::vector<Job*>& jobs, size_t count) {
    while (!jobs_.empty() && jobs.size() < count) {
      jobs.push_back(jobs_.front());
      jobs_.pop_front();
    }
  }

  const size_t jobs_max_;
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Job*> jobs_;
  bool closed_ = false;
};

constexpr int kWipeAttempts = 100;

Error unavailable() { return fail(Code::unavailable); }

bool is_failed_sync(int code) { return code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC; }
bool is_damage(int code) { return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB; }

// Why a store could not be opened, for whoever has to do something about it.
Error explain(const std::string& path, const StatementFailed& failed) {
  if (!failed.error.text.empty()) {
    return failed.error;
  }
  if (is_damage(failed.native_code)) {
    return fail(Code::unavailable, path + " is damaged or no database: restore a backup, or name another file");
  }
  return fail(Code::unavailable, path + ": " + sqlite3_errstr(failed.native_code) + " (SQLite code " +
                                     std::to_string(failed.native_code) + "): look at the disk and its free space");
}

class SqliteDatabase final : public Database {
 public:
  SqliteDatabase(SqliteOptions options, std::unique_ptr<SqliteConnection> writer,
                 std::vector<std::unique_ptr<SqliteConnection>> readers, MetricRegistry& metrics)
      : options_(std::move(options)),
        writes_(options_.queue_jobs_max),
        reads_(options_.queue_jobs_max),
        writer_(std::move(writer)),
        readers_(std::move(readers)),
        commit_seconds_(metrics.histogram("tidemark_commit_seconds", "Time of one COMMIT with its fsync.",
                                          exponential_bounds(0.0001, 2, 16))),
        batch_jobs_(metrics.histogram("tidemark_commit_batch_size", "Closures committed together.",
                                      exponential_bounds(1, 2, 11))),
        failed_batches_(metrics.counter("tidemark_commit_failures_total", "Batches that could not be committed.")) {
    sqlite3_wal_hook(
        writer_->handle(),
        [](void* self, sqlite3*, const char*, int frames) {
          static_cast<SqliteDatabase*>(self)->wal_frames_ = frames;
          return SQLITE_OK;
        },
        this);
    if (options_.stepper != nullptr) {
      set_steps(*options_.stepper);
      return;
    }
    threads_.emplace_back([this] { write_loop(); });
    pthread_setname_np(threads_.back().native_handle(), "storage-writer");
    for (const auto& reader : readers_) {
      threads_.emplace_back([this, connection = reader.get()] { read_loop(*connection); });
      pthread_setname_np(threads_.back().native_handle(), "storage-reader");
    }
  }

  ~SqliteDatabase() override { close(); }

  bool healthy() const override { return healthy_.load(); }

  // The writer does it behind a job that changes nothing. A reader that still looks at the log makes it fail; readers
  // end with their page.
  Status wipe_log() override {
    for (int attempt = 0; attempt < kWipeAttempts; ++attempt) {
      wiped_.store(false);
      wipe_.store(true);
      const Status queued = write_now([](Transaction&) -> Status { return {}; });
      if (!queued.ok()) {
        return queued;
      }
      // The job is answered before the writer turns to the log; the next one stands behind it.
      const Status behind = write_now([](Transaction&) -> Status { return {}; });
      if (!behind.ok()) {
        return behind;
      }
      if (wiped_.load()) {
        return {};
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return unavailable();
  }

  void close() override {
    writes_.close();
    reads_.close();
    for (std::thread& thread : threads_) {
      if (thread.joinable()) {
        thread.join();
      }
    }
    if (options_.stepper != nullptr && !closed_) {
      closed_ = true;
      run_all_steps();
      checkpoint(SQLITE_CHECKPOINT_TRUNCATE);
    }
  }

 protected:
  void submit(Job& job, bool writes) override {
    JobQueue& queue = writes || readers_.empty() ? writes_ : reads_;
    if (!healthy_.load() || !queue.push(job)) {
      JobRunner::set_status(job, unavailable());
      Job* const one = &job;
      JobRunner::finish({&one, 1});
      return;
    }
    if (options_.stepper != nullptr) {
      if (Worker::current() == nullptr) {
        run_all_steps();  // the caller is going to wait
      } else if (options_.stepper->on_submit) {
        options_.stepper->on_submit();
      }
    }
  }

 private:
  void set_steps(Stepper& stepper) {
    std::vector<std::function<bool()>> lanes{[this] { return step_writer(); }};
    for (size_t i = 0; i < readers_.size(); ++i) {
      lanes.emplace_back([this, &connection = *readers_[i], jobs = std::vector<Job*>()]() mutable {
        return step_reader(connection, jobs);
      });
    }
    stepper.set_lanes(std::move(lanes));
  }

  // `answering_` is what has been committed, or not, and waits to be told.
  bool step_writer() {
    if (!answering_.empty()) {
      answer_batch(answering_);
      answering_.clear();
      return true;
    }
    writes_.take_now(answering_, std::min(options_.batch_jobs_max, options_.stepper->batch_jobs_max));
    if (answering_.empty()) {
      return false;
    }
    run_batch(answering_);
    return true;
  }

  bool step_reader(SqliteConnection& connection, std::vector<Job*>& jobs) {
    if (!jobs.empty()) {
      JobRunner::finish(jobs);
      jobs.clear();
      return true;
    }
    reads_.take_now(jobs, std::min(kReadsTogether, options_.stepper->read_jobs_max));
    if (jobs.empty()) {
      return false;
    }
    run_reads(connection, jobs);
    return true;
  }

  void run_all_steps() {
    for (bool worked = true; worked;) {
      worked = false;
      for (size_t lane = 0; lane < options_.stepper->lanes(); ++lane) {
        worked = options_.stepper->step(lane) || worked;
      }
    }
  }

  void answer_batch(const std::vector<Job*>& jobs) {
    JobRunner::finish(jobs);
    if (!healthy_.load()) {
      return;
    }
    if (wipe_.exchange(false)) {
      wiped_.store(checkpoint(SQLITE_CHECKPOINT_TRUNCATE));
    } else if (wants_checkpoint()) {
      checkpoint(SQLITE_CHECKPOINT_PASSIVE);
    }
  }

  void write_loop() {
    std::vector<Job*> jobs;
    for (;;) {
      writes_.take(jobs, options_.batch_jobs_max, 1, [this] {
        writer_->release_memory();
        release_unused_memory();
      });
      if (jobs.empty()) {
        if (healthy_.load()) {
          checkpoint(SQLITE_CHECKPOINT_TRUNCATE);
        }
        return;
      }
      run_batch(jobs);
      answer_batch(jobs);
    }
  }

  // Small checkpoints keep the tail short while there is time. Under load they wait, because the same pages are written
  // again and again and a later checkpoint copies each of them once.
  bool wants_checkpoint() const {
    if (wal_frames_ < frames_checkpointed_) {
      return wal_frames_ >= options_.checkpoint_frames;  // the WAL has begun anew
    }
    const int frames = wal_frames_ - frames_checkpointed_;
    return frames >= options_.checkpoint_frames_max || (frames >= options_.checkpoint_frames && writes_.empty());
  }

  void run_batch(std::vector<Job*>& jobs) {
    if (!healthy_.load() || !commit_batch(jobs)) {
      failed_batches_.add();
      for (Job* const job : jobs) {
        JobRunner::set_status(*job, unavailable());
      }
    }
  }

  enum class Undo : uint8_t {
    batch,    // no savepoints, which cost two statements and a copy of every page that a closure touches
    closure,  // a savepoint for each
  };
  // What became of a closure, or of all of them.
  struct Ran {
    int code = SQLITE_OK;    // else: the whole batch has been rolled back, or has to be, for that reason
    bool leftovers = false;  // it failed, and what it changed can be undone with the whole batch only
  };

  // Closures check before they change, so that one that fails has nearly always changed nothing. Where one may have, all
  // of them run again with savepoints.
  int run_closures(const std::vector<Job*>& jobs) {
    Ran ran;
    for (const Undo undo : {Undo::batch, Undo::closure}) {
      ran = {};
      writer_->begin();
      for (auto job = jobs.begin(); job != jobs.end() && ran.code == SQLITE_OK && !ran.leftovers; ++job) {
        ran = run_closure(**job, undo);
      }
      if (ran.code == SQLITE_OK && !ran.leftovers) {
        return SQLITE_OK;
      }
      writer_->rollback();
      if (ran.code != SQLITE_OK) {
        return ran.code;
      }
    }
    return SQLITE_ABORT;  // not reached: with savepoints there are no leftovers
  }

  // False: nothing of the batch was committed, as far as can be known.
  bool commit_batch(std::vector<Job*>& jobs) {
    try {
      if (const int code = run_closures(jobs); code != SQLITE_OK) {
        note_failure("closure", code);
        return false;
      }
      if (TIDEMARK_FAULT(ack_before_commit)) {
        JobRunner::finish(jobs);
        jobs.clear();
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
      const auto start = std::chrono::steady_clock::now();
      writer_->commit();
      commit_seconds_.observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
      batch_jobs_.observe(static_cast<double>(jobs.size()));
      return true;
    } catch (const StatementFailed& failed) {
      note_failure("commit", failed.native_code);
      writer_->rollback();
      return false;
    }
  }

  Ran run_closure(Job& job, Undo undo) {
    if (undo == Undo::closure) {
      writer_->savepoint();
    }
    Status status;
    int code = SQLITE_ABORT;  // rolled back, and the closure did not let us know why
    try {
      status = JobRunner::run(job, *writer_);
    } catch (const StatementFailed& failed) {
      status = failed.error;
      code = failed.native_code;
    }
    const bool may_have_written = writer_->may_have_written();
    writer_->reset_statements();
    if (!writer_->in_transaction() || is_failed_sync(code)) {
      return {.code = code};
    }
    note_damage(code);
    if (undo == Undo::batch) {
      if (!status.ok() && may_have_written) {
        return {.leftovers = true};
      }
    } else if (status.ok()) {
      writer_->release();
    } else {
      writer_->rollback_to_savepoint();
    }
    JobRunner::set_status(job, std::move(status));
    return {};
  }

  void note_failure(std::string_view during, int code) {
    log_error("storage.failed", {{"during", during}, {"sqlite_code", code}});
    note_damage(code);
    if (is_failed_sync(code)) {
      healthy_.store(false);
      writer_->leave_the_wal();  // its close would be one more checkpoint, with one more fsync
      if (options_.on_failure) {
        options_.on_failure();
      }
    }
  }

  // Any thread.
  void note_damage(int code) const {
    if (is_damage(code)) {
      log_error("storage.damaged", {{"file", options_.path}, {"sqlite_code", code},
                                    {"do", "stop the node and restore a backup"}});
    }
  }

  // False: not all of the log could be taken over, or not be cut off.
  bool checkpoint(int mode) {
    int frames = 0;
    int done = 0;
    const int code = sqlite3_wal_checkpoint_v2(writer_->handle(), nullptr, mode, &frames, &done);
    if (code != SQLITE_OK && code != SQLITE_BUSY) {
      note_failure("checkpoint", sqlite3_extended_errcode(writer_->handle()));
    }
    frames_checkpointed_ = wal_frames_;
    return code == SQLITE_OK;
  }

  void read_loop(SqliteConnection& connection) {
    std::vector<Job*> jobs;
    for (;;) {
      reads_.take(jobs, kReadsTogether, readers_.size(), [&connection] { connection.release_memory(); });
      if (jobs.empty()) {
        return;
      }
      run_reads(connection, jobs);
      JobRunner::finish(jobs);
    }
  }

  void run_reads(SqliteConnection& connection, const std::vector<Job*>& jobs) const {
    for (Job* const job : jobs) {
      JobRunner::set_status(*job, run_read(connection, *job));
    }
    end_read(connection);
  }

  // What was queued together reads one snapshot, which is newer than every write answered before.
  Status run_read(SqliteConnection& connection, Job& job) const {
    Status status;
    try {
      if (!connection.in_transaction()) {
        connection.begin();
      }
      status = JobRunner::run(job, connection);
      connection.reset_statements();
    } catch (const StatementFailed& failed) {
      log_error("storage.read_failed", {{"sqlite_code", failed.native_code}});
      note_damage(failed.native_code);
      status = failed.error;
      connection.rollback();
    }
    return status;
  }

  static void end_read(SqliteConnection& connection) {
    try {
      if (connection.in_transaction()) {
        connection.commit();
      }
    } catch (const StatementFailed&) {
      connection.rollback();
    }
  }

  const SqliteOptions options_;
  JobQueue writes_;
  JobQueue reads_;
  std::unique_ptr<SqliteConnection> writer_;
  std::vector<std::unique_ptr<SqliteConnection>> readers_;
  Histogram& commit_seconds_;
  Histogram& batch_jobs_;
  Counter& failed_batches_;
  std::atomic<bool> healthy_{true};
  int wal_frames_ = 0;           // owner: writer thread
  int frames_checkpointed_ = 0;  // owner: writer thread
  std::atomic<bool> wipe_{false};   // the writer is asked to empty the log
  std::atomic<bool> wiped_{false};  // and has
  std::vector<Job*> answering_;  // stepped only
  bool closed_ = false;          // stepped only
  std::vector<std::thread> threads_;
};

}  // namespace

Result<std::unique_ptr<Database>> open_sqlite(SqliteOptions options, MetricRegistry& metrics) {
  // Counting what SQLite allocates takes a lock of all its connections for each allocation, and nobody asks.
  static const int without_statistics = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  (void)without_statistics;
  std::unique_ptr<SqliteConnection> writer;
  try {
    const bool memory = options.path == ":memory:";
    writer = std::make_unique<SqliteConnection>(options.path, false);
    if (!memory) {
      writer->run("PRAGMA journal_mode=WAL");
      writer->run("PRAGMA wal_autocheckpoint=0");
      writer->run("PRAGMA journal_size_limit=67108864");
      writer->run(options.synchronous_full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
      if (TIDEMARK_FAULT(skipped_fsync)) {
        writer->run("PRAGMA synchronous=OFF");
      }
      // What became visible before a crash must be durable before it is served again.
      writer->write_log_again();
      writer->run("PRAGMA wal_checkpoint(TRUNCATE)");
      // A file that is too short, or without a readable schema, is found here and not when somebody asks.
      writer->run("SELECT count(*) FROM sqlite_schema");
    }
    writer->run("PRAGMA temp_store=MEMORY");
    // Deleted content is overwritten, not only taken off the lists.
    writer->run("PRAGMA secure_delete=ON");
    writer->run("PRAGMA cache_size=-65536");
    std::vector<std::unique_ptr<SqliteConnection>> readers;
    for (int i = 0; i < options.readers && !memory; ++i) {
      readers.push_back(std::make_unique<SqliteConnection>(options.path, true));
      // Small: SQLite drops the whole cache of a reader with every commit of the writer.
      readers.back()->run("PRAGMA cache_size=-8192");
    }
    return std::unique_ptr<Database>(
        std::make_unique<SqliteDatabase>(options, std::move(writer), std::move(readers), metrics));
  } catch (const StatementFailed& failed) {
    if (writer) {
      writer->leave_the_wal();  // an fsync that failed is not tried again, a store that is not understood stays as it is
    }
    return explain(options.path, failed);
  }
}

}  // namespace tidemark::storage
