#include "storage/sqlite_database.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <span>
#include <thread>
#include <vector>

#include "core/log.h"
#include "core/seeded_fault.h"
#include "storage/job_queue.h"
#include "storage/sqlite_connection.h"
#include "storage/sqlite_writer.h"
#include "storage/stepper.h"
#include "storage/turn_jobs.h"

namespace tidemark::storage {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kReadsTogether = 16;
constexpr auto kAnswerAfter = std::chrono::microseconds(100);  // reads that ran are not kept longer by those behind
constexpr int kWipeAttempts = 100;
constexpr int kCacheReaderKib = 8192;

Error unavailable() { return fail(Code::unavailable); }

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
        health_(options_),
        writes_(options_.queue_jobs_max),
        reads_(options_.queue_jobs_max),
        writer_(options_, std::move(writer), writes_, health_, metrics),
        readers_(std::move(readers)) {
    if (options_.stepper != nullptr) {
      set_steps(*options_.stepper);
      return;
    }
    writer_.log_sync().start();
    threads_.emplace_back([this] { writer_.loop(); });
    pthread_setname_np(threads_.back().native_handle(), "storage-writer");
    for (const auto& reader : readers_) {
      threads_.emplace_back([this, connection = reader.get()] { read_loop(*connection); });
      pthread_setname_np(threads_.back().native_handle(), "storage-reader");
    }
  }

  ~SqliteDatabase() override { close(); }

  bool healthy() const override { return health_.good(); }

  // The writer does it behind a job that changes nothing. A reader that still looks at the log makes it fail; readers
  // end with their page.
  Status wipe_log() override {
    for (int attempt = 0; attempt < kWipeAttempts; ++attempt) {
      writer_.ask_wipe();
      const Status queued = write_now([](Transaction&) -> Status { return {}; });
      if (!queued.ok()) {
        return queued;
      }
      // The job is answered before the writer turns to the log; the next one stands behind it.
      const Status behind = write_now([](Transaction&) -> Status { return {}; });
      if (!behind.ok()) {
        return behind;
      }
      if (writer_.wiped()) {
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
    if (closed_) {
      return;
    }
    closed_ = true;
    if (options_.stepper != nullptr) {
      run_all_steps();
    }
    writer_.end();
    writer_.log_sync().stop();
  }

 protected:
  void submit(Job& job, bool writes) override {
    const bool to_writer = writes || readers_.empty();
    if (options_.stepper == nullptr) {
      turns_.submit(job, to_writer);
      return;
    }
    Job* const one = &job;
    push({&one, 1}, to_writer);
    if (Worker::current() == nullptr) {
      run_all_steps();  // the caller is going to wait
    } else if (options_.stepper->on_submit) {
      options_.stepper->on_submit();
    }
  }

 private:
  void push(std::span<Job* const> jobs, bool to_writer) {
    if (jobs.empty()) {
      return;
    }
    const size_t taken = health_.good() ? (to_writer ? writes_ : reads_).push(jobs) : 0;
    const std::span<Job* const> refused = jobs.subspan(taken);
    for (Job* const job : refused) {
      JobRunner::set_status(*job, unavailable());
    }
    JobRunner::finish(refused);
  }

  void set_steps(Stepper& stepper) {
    std::vector<std::function<bool()>> lanes{[this] { return writer_.step(); }};
    for (size_t i = 0; i < readers_.size(); ++i) {
      lanes.emplace_back([this, &connection = *readers_[i], jobs = std::vector<Job*>()]() mutable {
        return step_reader(connection, jobs);
      });
    }
    stepper.set_lanes(std::move(lanes));
  }

  bool step_reader(SqliteConnection& connection, std::vector<Job*>& jobs) {
    if (!jobs.empty()) {
      writer_.log_sync().answer_reads(jobs);
      jobs.clear();
      return true;
    }
    reads_.take_now(jobs, std::min(kReadsTogether, options_.stepper->read_jobs_max));
    if (jobs.empty()) {
      return false;
    }
    for (Job* const job : jobs) {
      JobRunner::set_status(*job, run_read(connection, *job));
    }
    end_read(connection);
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

  void read_loop(SqliteConnection& connection) {
    std::vector<Job*> jobs;
    std::vector<Job*> done;
    for (;;) {
      reads_.take(jobs, kReadsTogether, readers_.size(), [&connection] { connection.release_memory(); });
      if (jobs.empty()) {
        return;
      }
      done.clear();
      Clock::time_point answered = Clock::now();
      for (Job* const job : jobs) {
        JobRunner::set_status(*job, run_read(connection, *job));
        done.push_back(job);
        if (job != jobs.back() && Clock::now() - answered >= kAnswerAfter) {
          writer_.log_sync().answer_reads(done);
          done.clear();
          answered = Clock::now();
        }
      }
      end_read(connection);
      writer_.log_sync().answer_reads(done);
    }
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
      health_.note_damage(failed.native_code);
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
  StoreHealth health_;
  JobQueue writes_;
  JobQueue reads_;
  SqliteWriter writer_;
  std::vector<std::unique_ptr<SqliteConnection>> readers_;
  TurnJobs turns_{[this](std::span<Job* const> jobs, bool to_writer, size_t) { push(jobs, to_writer); }};
  bool closed_ = false;
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
      // A commit is synced behind SQLite's back (LogSync); checkpoints sync by themselves.
      writer->run("PRAGMA synchronous=NORMAL");
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
    writer->set_cache_kib(kCacheWriterKib);
    std::vector<std::unique_ptr<SqliteConnection>> readers;
    for (int i = 0; i < options.readers && !memory; ++i) {
      readers.push_back(std::make_unique<SqliteConnection>(options.path, true));
      // Small: SQLite drops the whole cache of a reader with every commit of the writer.
      readers.back()->set_cache_kib(kCacheReaderKib);
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
