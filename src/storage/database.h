// The storage seam: closures that run in transactions on storage threads, and the answer back on the caller's worker.
//
// Two implementations: SQLite (storage/sqlite_database.h) and PostgreSQL (storage/postgres_database.h). Rooms write their
// SQL once.
//
// Promises: write() answers only after the transaction is durable (fsync'ed), or with an error; `unavailable` means
// that it may or may not have been stored. Closures of one worker run in the order they were submitted. Answers come
// back to the worker that asked, in commit order. read() sees every write that was answered before it was submitted.
// Does not promise: that a closure runs once only; it may run again after a failed batch, so it must return values
// and change nothing else.
#pragma once

#include <condition_variable>
#include <coroutine>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "core/result.h"
#include "core/worker.h"

namespace tidemark::storage {

// One SQL statement of the program. Its address is its identity: make it a namespace-scope constant.
// `postgres` is given only where the common subset does not do.
struct Sql {
  const char* common;
  const char* postgres = nullptr;
};

// A value that is no text: any bytes. Its column is TEXT in SQLite, which does not mind, and BYTEA in PostgreSQL.
struct Bytes {
  std::string_view data;
};

// Thrown inside a closure when a statement fails and caught by the Database: never leaves a closure's transaction.
struct StatementFailed {
  Error error;
  int native_code = 0;  // what the database itself called it; 0: it said nothing
};

// A statement with its values bound; valid until the same Sql is run again or the closure ends.
class Statement {
 public:
  virtual ~Statement() = default;
  virtual bool next() = 0;  // steps to the next row; false at the end
  virtual bool is_null(int column) const = 0;
  virtual int64_t integer(int column) const = 0;       // columns count from 0
  virtual std::string_view text(int column) const = 0;  // or bytes; valid until the next step; a null is empty
  std::string string(int column) const { return std::string(text(column)); }

  virtual void bind(int index, int64_t value) = 0;  // parameters count from 1
  virtual void bind(int index, std::string_view value) = 0;
  // The same for a value that outlives the statement's run.
  virtual void bind_borrowed(int index, std::string_view value) { bind(index, value); }
  virtual void bind_bytes(int index, std::string_view value) { bind_borrowed(index, value); }
  virtual void bind_null(int index) = 0;
};

// What a closure works with. Owner: the storage thread that runs the closure.
class Transaction {
 public:
  virtual ~Transaction() = default;

  // Values: integers, bool, anything that converts to std::string_view, Bytes, std::optional of these, nullptr.
  template <class... Values>
  Statement& query(const Sql& sql, const Values&... values) {
    Statement& statement = prepare(sql);
    int index = 0;
    (bind_one<false>(statement, ++index, values), ...);
    return statement;
  }
  // Runs to the end; returns the number of rows that were inserted, updated or deleted.
  template <class... Values>
  int64_t execute(const Sql& sql, const Values&... values) {
    Statement& statement = prepare(sql);
    int index = 0;
    (bind_one<true>(statement, ++index, values), ...);
    while (statement.next()) {
    }
    return changed_rows();
  }
  // The same for a statement whose outcome does not matter to the closure: it may run as late as with the next one, which
  // saves a way to a server and back. What it fails with, the transaction fails with.
  template <class... Values>
  void execute_later(const Sql& sql, const Values&... values) {
    Statement& statement = prepare(sql);
    int index = 0;
    (bind_one<true>(statement, ++index, values), ...);
    run_later(statement);
  }

 protected:
  virtual Statement& prepare(const Sql& sql) = 0;
  virtual int64_t changed_rows() = 0;
  virtual void run_later(Statement& statement) {
    while (statement.next()) {
    }
  }

 private:
  template <bool kBorrowed, class V>
  static void bind_one(Statement& statement, int index, const V& value) {
    if constexpr (std::is_same_v<V, std::nullptr_t>) {
      statement.bind_null(index);
    } else if constexpr (std::is_same_v<V, Bytes>) {
      statement.bind_bytes(index, value.data);
    } else if constexpr (std::is_integral_v<V> || std::is_enum_v<V>) {
      statement.bind(index, static_cast<int64_t>(value));
    } else if constexpr (kBorrowed) {
      statement.bind_borrowed(index, std::string_view(value));
    } else {
      statement.bind(index, std::string_view(value));
    }
  }
  template <bool kBorrowed, class V>
  static void bind_one(Statement& statement, int index, const std::optional<V>& value) {
    if (value) {
      bind_one<kBorrowed>(statement, index, *value);
    } else {
      statement.bind_null(index);
    }
  }
};

// One closure on its way through the database. Lives in the frame of whoever waits for it.
class Job {
 public:
  virtual ~Job() = default;

 private:
  template <class F>
  friend class AwaitedJob;
  template <class F>
  friend class BlockingJob;
  friend class JobRunner;

  virtual Status run(Transaction& transaction) = 0;  // an error rolls this closure back
  virtual void finished() {}                          // called on a storage thread if worker_ is null

  Worker* worker_ = nullptr;
  std::coroutine_handle<> waiting_;
  Status status_;
};

template <class F>
class AwaitedJob;
template <class F>
class BlockingJob;

class Database {
 public:
  virtual ~Database() = default;

  // `co_await db.write(f)`: f is `Result<T>(Transaction&)`; an error that f returns undoes what f did and is returned.
  template <class F>
  auto write(F closure) {
    return AwaitedJob<F>(*this, true, std::move(closure));
  }
  template <class F>
  auto read(F closure) {
    return AwaitedJob<F>(*this, false, std::move(closure));
  }
  // The same for threads that are no workers (start, subcommands, tests): waits.
  template <class F>
  auto write_now(F closure) {
    return BlockingJob<F>(std::move(closure)).wait(*this, true);
  }
  template <class F>
  auto read_now(F closure) {
    return BlockingJob<F>(std::move(closure)).wait(*this, false);
  }

  // Leaves nothing of what was deleted or overwritten before this call in files beside the database. For threads that are
  // no workers: waits. `unavailable` when readers stood in the way for too long.
  virtual Status wipe_log() { return {}; }

  // False: every call answers `unavailable`; with SQLite until a restart, with PostgreSQL until the server answers again.
  virtual bool healthy() const = 0;
  virtual void close() = 0;          // answers what is queued, then ends the storage threads

 protected:
  template <class F>
  friend class AwaitedJob;
  template <class F>
  friend class BlockingJob;
  virtual void submit(Job& job, bool writes) = 0;
};

// A closure and, once it has run, its answer.
template <class F>
class ClosureJob : public Job {
 public:
  using Answer = std::invoke_result_t<F&, Transaction&>;

  explicit ClosureJob(F closure) : closure_(std::move(closure)) {}

 protected:
  std::optional<Answer> answer_;

 private:
  Status run(Transaction& transaction) override {
    answer_.emplace(closure_(transaction));
    return answer_->ok() ? Status() : Status(answer_->error());
  }

  F closure_;
};

template <class F>
class AwaitedJob final : public ClosureJob<F> {
 public:
  using typename ClosureJob<F>::Answer;

  AwaitedJob(Database& database, bool writes, F closure)
      : ClosureJob<F>(std::move(closure)), database_(database), writes_(writes) {}

  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    this->waiting_ = waiting;
    this->worker_ = Worker::current();
    TIDEMARK_CHECK(this->worker_ != nullptr);
    database_.submit(*this, writes_);
  }
  Answer await_resume() {
    if (!this->status_.ok()) {
      return this->status_.error();
    }
    return std::move(*this->answer_);
  }

 private:
  Database& database_;
  const bool writes_;
};

template <class F>
class BlockingJob final : public ClosureJob<F> {
 public:
  using typename ClosureJob<F>::Answer;
  using ClosureJob<F>::ClosureJob;

  Answer wait(Database& database, bool writes) {
    database.submit(*this, writes);
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return is_done_; });
    if (!this->status_.ok()) {
      return this->status_.error();
    }
    return std::move(*this->answer_);
  }

 private:
  void finished() override {
    const std::lock_guard lock(mutex_);
    is_done_ = true;
    done_.notify_one();
  }

  std::mutex mutex_;
  std::condition_variable done_;
  bool is_done_ = false;
};

// What implementations use to run jobs and to hand their answers back.
class JobRunner {
 public:
  static Status run(Job& job, Transaction& transaction) { return job.run(transaction); }
  static void set_status(Job& job, Status status) { job.status_ = std::move(status); }
  static const Status& status(const Job& job) { return job.status_; }
  // Whether a whole thread waits for it, and no coroutine.
  static bool blocks(const Job& job) { return job.worker_ == nullptr; }
  // Sends every job back to its waiter, in order; one post per worker. The jobs may be gone afterwards.
  static void finish(std::span<Job* const> jobs);
};

}  // namespace tidemark::storage
