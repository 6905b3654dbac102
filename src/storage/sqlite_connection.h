// One SQLite connection with its prepared statements. Used only by the files storage/sqlite_*.
//
// Owner: one storage thread. Library errors leave as StatementFailed.
#pragma once

#include <sqlite3.h>

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "storage/database.h"

namespace tidemark::storage {

inline bool is_damage(int code) { return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB; }

class SqliteStatement final : public Statement {
 public:
  SqliteStatement(sqlite3* connection, const char* sql);
  ~SqliteStatement() override { sqlite3_finalize(statement_); }

  bool next() override;
  bool is_null(int column) const override { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  int64_t integer(int column) const override { return sqlite3_column_int64(statement_, column); }
  std::string_view text(int column) const override;
  void bind(int index, int64_t value) override;
  void bind(int index, std::string_view value) override;
  void bind_borrowed(int index, std::string_view value) override;
  void bind_null(int index) override;
  void reset() { sqlite3_reset(statement_); }
  bool writes() const { return writes_; }

 private:
  int prepare(const char* sql);
  void bind_text(int index, std::string_view value, sqlite3_destructor_type life);

  sqlite3* connection_;
  sqlite3_stmt* statement_ = nullptr;
  bool writes_ = false;
};

class SqliteConnection final : public Transaction {
 public:
  // Throws StatementFailed when the file cannot be opened.
  SqliteConnection(const std::string& path, bool read_only);
  ~SqliteConnection() override;

  void run(const char* sql);  // one statement that is not kept
  void leave_the_wal();       // closing writes and syncs nothing any more
  // Brings to the disk what this connection sees of the log, whatever became of it before: see sqlite_log.cc.
  void write_log_again();
  void begin() { step(begin_); }
  void commit() { step(commit_); }
  void rollback();
  void savepoint() { step(savepoint_); }
  void release() { step(release_); }
  void rollback_to_savepoint();
  // Statements that were stepped hold locks until they are reset: called at the end of each closure.
  void reset_statements();
  // Whether a statement that may change something was used since reset_statements().
  bool may_have_written() const { return may_have_written_; }
  // How many pages are cached: what is more is given back at once.
  void set_cache_kib(int kib) { run(("PRAGMA cache_size=-" + std::to_string(kib)).c_str()); }
  // Gives back the memory of cached pages.
  void release_memory() { sqlite3_db_release_memory(connection_); }

  bool in_transaction() const { return sqlite3_get_autocommit(connection_) == 0; }
  sqlite3* handle() { return connection_; }

 protected:
  Statement& prepare(const Sql& sql) override;
  int64_t changed_rows() override { return sqlite3_changes64(connection_); }

 private:
  void step(SqliteStatement& statement);

  struct Closer {
    void operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }
  };
  std::unique_ptr<sqlite3, Closer> owned_;
  sqlite3* connection_ = nullptr;
  std::unordered_map<const Sql*, std::unique_ptr<SqliteStatement>> statements_;
  std::vector<SqliteStatement*> used_;
  bool may_have_written_ = false;
  std::unique_ptr<SqliteStatement> begin_holder_, commit_holder_, savepoint_holder_, release_holder_;
  SqliteStatement &begin_, &commit_, &savepoint_, &release_;
};

}  // namespace tidemark::storage
