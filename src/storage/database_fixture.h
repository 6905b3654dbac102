// For tests: a database (an SQLite file in a directory of its own, memory, or PostgreSQL), a worker that asks it, and a
// writer that can be held up.
#pragma once

#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <stdlib.h>

#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/worker_fixture.h"
#include "storage/postgres_database.h"
#include "storage/sqlite_database.h"

namespace tidemark::storage {

inline constexpr Sql kCreateThings{"CREATE TABLE IF NOT EXISTS things (id INTEGER PRIMARY KEY, name TEXT UNIQUE)"};
inline constexpr Sql kAddThing{"INSERT INTO things (id, name) VALUES (?, ?)"};
inline constexpr Sql kCountThings{"SELECT count(*) FROM things"};

inline Status add_thing(Transaction& tx, int64_t id, std::string_view name) {
  tx.execute(kAddThing, id, name);
  return {};
}

using Closure = std::function<Status(Transaction&)>;

inline Closure adding(int64_t id, std::string name) {
  return [id, name = std::move(name)](Transaction& tx) { return add_thing(tx, id, name); };
}

inline Closure adding(int64_t id) { return adding(id, "thing " + std::to_string(id)); }

inline std::vector<Closure> adding_many(int64_t first, int64_t count) {
  std::vector<Closure> closures;
  for (int64_t id = first; id < first + count; ++id) {
    closures.push_back(adding(id));
  }
  return closures;
}

inline int64_t count_things(Database& database) {
  const auto count = database.read_now([](Transaction& tx) -> Result<int64_t> {
    Statement& rows = tx.query(kCountThings);
    return rows.next() ? rows.integer(0) : int64_t{-1};
  });
  return count.ok() ? *count : -1;
}

// Keeps the writer inside a closure from its making until release() or its end.
class HeldWriter {
 public:
  explicit HeldWriter(Database& database) : thread_([this, &database] {
    const Status done = database.write_now([this](Transaction&) -> Status {
      started_.set_value();
      released_.get_future().wait();
      return {};
    });
    EXPECT_TRUE(done.ok());
  }) {
    started_.get_future().wait();
  }
  ~HeldWriter() { release(); }
  void release() {
    if (thread_.joinable()) {
      released_.set_value();
      thread_.join();
    }
  }

 private:
  std::promise<void> started_;
  std::promise<void> released_;
  std::thread thread_;
};

// An empty schema on the server that $TIDEMARK_TEST_POSTGRESQL names (script/test starts one), gone with this object.
class PostgresSchema {
 public:
  static const char* server() { return std::getenv("TIDEMARK_TEST_POSTGRESQL"); }

  explicit PostgresSchema(const std::string& name) : name_(name) { run("CREATE SCHEMA " + name_); }
  PostgresSchema(const PostgresSchema&) = delete;
  PostgresSchema& operator=(const PostgresSchema&) = delete;
  ~PostgresSchema() { run("DROP SCHEMA " + name_ + " CASCADE"); }

  std::string url() const { return std::string(server()) + "?options=-csearch_path%3D" + name_; }
  // One statement over a connection of its own; the first value of its answer.
  static std::string run(const std::string& sql) {
    PGconn* const connection = PQconnectdb(server());
    PQsetNoticeProcessor(connection, [](void*, const char*) {}, nullptr);
    PGresult* const result = PQexec(connection, sql.c_str());
    const ExecStatusType status = PQresultStatus(result);
    EXPECT_TRUE(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) << sql << ": " << PQerrorMessage(connection);
    std::string value = PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "";
    PQclear(result);
    PQfinish(connection);
    return value;
  }

 private:
  const std::string name_;
};

class DatabaseFixture : public ::testing::Test {
 protected:
  DatabaseFixture() {
    std::string name = (std::filesystem::temp_directory_path() / "tidemark-sqlite-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
    workers_.start();
  }
  ~DatabaseFixture() override {
    if (database_) {
      database_->close();
    }
    workers_.stop_and_join();
    database_.reset();
    std::filesystem::remove_all(directory_);
  }

  std::string path() const { return (directory_ / "store.db").string(); }

  void open(SqliteOptions options) {
    metrics_ = std::make_unique<MetricRegistry>();
    use(open_sqlite(std::move(options), *metrics_));
  }
  // On a schema of its own; the test is skipped without a server.
  void open_postgres(PostgresOptions options = {}) {
    if (PostgresSchema::server() == nullptr) {
      GTEST_SKIP() << "TIDEMARK_TEST_POSTGRESQL is not set";
    }
    schema_.emplace("tidemark_" + std::to_string(::getpid()) + "_" + std::to_string(++schemas_));
    options.url = schema_->url();
    options.alone = false;
    metrics_ = std::make_unique<MetricRegistry>();
    use(storage::open_postgres(std::move(options), *metrics_));
  }
  void use(Result<std::unique_ptr<Database>> opened) {
    ASSERT_TRUE(opened.ok()) << opened.error().text;
    database_ = std::move(*opened);
    ASSERT_TRUE(database_->write_now([](Transaction& tx) -> Status {
      tx.execute(kCreateThings);
      return {};
    }).ok());
  }
  void open_file() {
    SqliteOptions options;
    options.path = path();
    open(std::move(options));
  }
  void open_memory() {
    SqliteOptions options;
    options.path = ":memory:";
    open(std::move(options));
  }

  // Submits the writes now, in order, from worker 0, and returns when all of them stand in the queue.
  void submit(std::vector<std::function<Status(Transaction&)>> closures) {
    answers_.assign(closures.size(), std::nullopt);
    left_ = closures.size();
    all_answered_ = {};
    run_on(workers_.at(0), [&] {
      for (size_t i = 0; i < closures.size(); ++i) {
        spawn(write_one(i, std::move(closures[i])));
      }
    });
    run_on(workers_.at(0), [] {});  // the turn that asked has ended
  }
  // The answers to submit(), in the order of the closures; order_ is the order in which they came.
  std::vector<std::optional<Status>> answers() {
    all_answered_.get_future().wait();
    return answers_;
  }
  Task<> write_one(size_t index, std::function<Status(Transaction&)> closure) {
    Status answer = co_await database_->write(std::move(closure));
    answers_[index] = std::move(answer);
    order_.push_back(index);
    if (--left_ == 0) {
      all_answered_.set_value();
    }
  }

  // Batches by size, as the metric counts them: first the bucket "1", then "2", "up to 4", "up to 8" …
  std::vector<uint64_t> batches() const {
    return metrics_->histogram("tidemark_commit_batch_size", "", {}).snapshot().counts;
  }

  static inline int schemas_ = 0;
  SystemClock clock_;
  std::filesystem::path directory_;
  WorkerPool workers_{1, clock_};
  std::optional<PostgresSchema> schema_;
  std::unique_ptr<MetricRegistry> metrics_;
  std::unique_ptr<Database> database_;
  std::vector<std::optional<Status>> answers_;
  std::vector<size_t> order_;
  size_t left_ = 0;
  std::promise<void> all_answered_;
};

}  // namespace tidemark::storage
