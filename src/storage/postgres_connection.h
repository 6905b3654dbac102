// One PostgreSQL connection with its prepared statements, in pipeline mode. Used only by the files storage/postgres_*.
//
// Statements whose answer nobody needs at once (BEGIN, what run_later() was asked, COMMIT of a read) wait and travel with
// the next one, so that they cost no way of their own to the server.
//
// Owner: one storage thread. Failures leave as StatementFailed; `native_code` says what kind it is (PostgresFailure).
// A wait never takes longer than the given limit: after it the connection counts as lost.
#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "storage/postgres_statement.h"

namespace tidemark::storage {

enum PostgresFailure : int {
  kPostgresLost = 1,      // the connection broke
  kPostgresSilent = 5,    // the server did not answer in time: the connection counts as lost
  kPostgresConflict = 2,  // a unique index has the row already
  kPostgresAgain = 3,     // a deadlock, a lock that was not to be had, a serialization failure: the same may work again
  kPostgresOther = 4,
  kPostgresFenced = 6,    // another node owns the database now
};

struct PostgresOptions {
  std::string url;          // postgresql://…, as libpq takes it
  int writers = 2;          // connections that write, a thread each
  int readers = 2;          // connections that read, a thread each
  std::chrono::milliseconds statement_timeout{2000};
  bool synchronous_commit = true;
  bool alone = true;        // no other node may use the database
  std::string owner;        // of the node that owns it, by open_postgres(); empty: not alone
  std::function<void()> on_failure;  // called once, on a storage thread, when what is in memory may not be true any more
  size_t queue_jobs_max = 65536;  // beyond: `unavailable` at once
  size_t batch_jobs_max = 256;    // closures in one transaction
};

class PostgresConnection final : public Transaction {
 public:
  static constexpr std::chrono::milliseconds kConnectLimit{2000};

  // Throws StatementFailed when the server cannot be reached within the limit, or refuses.
  explicit PostgresConnection(const PostgresOptions& options, std::chrono::milliseconds connect_limit = kConnectLimit);
  ~PostgresConnection() override;

  // Sent with the first statement. The transaction leaves `mark` in the row of `writer`, and has the row locked until it
  // ends (storage/postgres_marks.h). Not where another than `owner` owns the database; an empty one is not looked for.
  void begin_writing(const std::string& writer, int64_t mark, const std::string& owner);
  void begin_reading();  // one snapshot for all that is read
  // After it the server has begun, and holds the row: nearly always that was answered with the first statement.
  // Throws kPostgresFenced.
  void await_begun();
  // Returns when the server has committed. `false`: it rolled back instead.
  bool commit();
  void commit_later();   // after reading: the answer is taken with that of the next statement
  void rollback();       // never throws; a connection that cannot is lost
  void end_closure();  // rows and values that the closure used may be forgotten
  bool may_have_written() const { return may_have_written_; }
  bool lost() const { return PQstatus(connection_.get()) != CONNECTION_OK; }
  int backend() const { return PQbackendPID(connection_.get()); }  // the server's process
  // One statement that is not kept, and waits for it; the first column of the first row.
  std::string run(const std::string& sql, const std::vector<std::string>& values = {});

 protected:
  Statement& prepare(const Sql& sql) override;
  int64_t changed_rows() override { return changed_rows_; }
  void run_later(Statement& statement) override;

 private:
  friend class PostgresStatement;
  struct Closer {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };
  // What an answer belongs to.
  struct Awaited {
    enum Kind : uint8_t { command, preparation, query, mark, value, end } kind;
    PostgresStatement* statement = nullptr;
  };

  void connect(const PostgresOptions& options, std::chrono::milliseconds limit);
  bool finish_connecting(std::chrono::steady_clock::time_point until);
  void run(PostgresStatement& statement);
  void send(PostgresStatement& statement);
  void send_command(const char* sql);
  void send_values(const char* sql, const std::vector<std::string>& values, Awaited::Kind kind);
  void wait_for_answers();
  void take(PGresult* result, const Awaited& awaited);
  PGresult* next_result(std::chrono::steady_clock::time_point until);
  void wait_readable(std::chrono::steady_clock::time_point until);
  [[noreturn]] void raise_lost(const char* why, PostgresFailure kind = kPostgresLost);
  void note_failure(const PGresult* result);

  const std::chrono::milliseconds answer_limit_;
  std::unique_ptr<PGconn, Closer> connection_;
  std::unordered_map<const Sql*, std::unique_ptr<PostgresStatement>> statements_;
  std::deque<Awaited> awaited_;
  bool begun_ = false;
  bool fenced_ = false;
  std::string value_;
  std::string last_tag_;  // of the last command
  std::optional<StatementFailed> failed_;  // the first failure among the answers that are being taken
  int64_t changed_rows_ = 0;
  bool may_have_written_ = false;
};

}  // namespace tidemark::storage
