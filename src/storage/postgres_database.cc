#include "storage/postgres_database.h"

#include <pthread.h>

#include <thread>
#include <vector>

#include "core/random.h"
#include "core/uuid.h"
#include "storage/postgres_writer.h"
#include "storage/turn_jobs.h"

namespace tidemark::storage {
namespace {

class PostgresDatabase final : public Database {
 public:
  PostgresDatabase(PostgresOptions options, MetricRegistry& metrics)
      : options_(std::move(options)), guard_(options_), reads_(options_.queue_jobs_max) {
    for (int i = 0; i < options_.writers; ++i) {
      writers_.push_back(std::make_unique<PostgresWriter>(options_, guard_, metrics));
    }
  }
  ~PostgresDatabase() override { close(); }

  Status start() {
    if (const Status started = guard_.start(); !started.ok()) {
      return started;
    }
    for (const auto& writer : writers_) {
      threads_.emplace_back([&writer = *writer] { writer.loop(); });
      pthread_setname_np(threads_.back().native_handle(), "storage-writer");
    }
    for (int i = 0; i < options_.readers; ++i) {
      threads_.emplace_back([this] { read_loop(); });
      pthread_setname_np(threads_.back().native_handle(), "storage-reader");
    }
    return {};
  }

  bool healthy() const override { return guard_.good(); }

  void close() override {
    for (const auto& writer : writers_) {
      writer->queue().close();
    }
    reads_.close();
    for (std::thread& thread : threads_) {
      thread.join();
    }
    threads_.clear();
    guard_.stop();
  }

 protected:
  void submit(Job& job, bool writes) override { turns_.submit(job, writes); }

 private:
  void push(std::span<Job* const> jobs, bool writes, size_t worker) {
    if (jobs.empty()) {
      return;
    }
    JobQueue& queue = writes ? writers_[worker % writers_.size()]->queue() : reads_;
    const std::span<Job* const> refused = jobs.subspan(guard_.good() ? queue.push(jobs) : 0);
    for (Job* const job : refused) {
      JobRunner::set_status(*job, fail(Code::unavailable));
    }
    JobRunner::finish(refused);
  }

  void read_loop() {
    KeptConnection kept;
    std::vector<Job*> jobs;
    for (;;) {
      reads_.take(jobs, 1, 1, [] {});
      if (jobs.empty()) {
        return;
      }
      Status status = fail(Code::unavailable);
      if (guard_.good() && !run_read(kept, *jobs[0], status)) {
        run_read(kept, *jobs[0], status);  // over a new connection
      }
      JobRunner::set_status(*jobs[0], std::move(status));
      JobRunner::finish(jobs);
    }
  }

  // False: the connection turned out to be broken.
  bool run_read(KeptConnection& kept, Job& job, Status& status) {
    if (!guard_.renew(kept)) {
      status = fail(Code::unavailable);
      return true;
    }
    const auto& connection = kept.connection;
    try {
      connection->begin_reading();
      status = JobRunner::run(job, *connection);
      connection->end_closure();
      connection->commit_later();
    } catch (const StatementFailed& failed) {
      status = failed.error;
      if (failed.native_code == kPostgresSilent) {
        guard_.note_failure();
      }
      if (failed.native_code == kPostgresLost) {
        return false;
      }
      connection->rollback();
    }
    return true;
  }

  const PostgresOptions options_;
  PostgresGuard guard_;
  JobQueue reads_;
  std::vector<std::unique_ptr<PostgresWriter>> writers_;
  TurnJobs turns_{[this](std::span<Job* const> jobs, bool writes, size_t worker) { push(jobs, writes, worker); }};
  std::vector<std::thread> threads_;
};

}  // namespace

Result<std::unique_ptr<Database>> open_postgres(PostgresOptions options, MetricRegistry& metrics) {
  char* why = nullptr;
  PQconninfoOption* const parsed = PQconninfoParse(options.url.c_str(), &why);
  const bool understood = parsed != nullptr;
  PQconninfoFree(parsed);
  PQfreemem(why);  // it may quote the password
  if (!understood) {
    return fail(Code::unavailable, "storage.url is not a URL as libpq takes it");
  }
  if (options.alone) {
    const SystemClock clock;
    SystemRandom random;
    options.owner = make_uuid7(clock, random).str();
  }
  auto database = std::make_unique<PostgresDatabase>(std::move(options), metrics);
  if (const Status started = database->start(); !started.ok()) {
    return started.error();
  }
  return std::unique_ptr<Database>(std::move(database));
}

}  // namespace tidemark::storage
