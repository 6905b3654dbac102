#include "storage/sqlite_connection.h"

#include <cerrno>
#include <cstring>

#include "core/log.h"

namespace tidemark::storage {
namespace {

// The code goes with the exception: what is done on the way out (resetting statements, rolling back) overwrites it in the
// connection, and a failed fsync must not be taken for anything else.
[[noreturn]] void raise(sqlite3* connection) {
  const int code = sqlite3_extended_errcode(connection);
  // The text of SQLite names tables and columns and stays inside (the log has it); people get the table's text.
  const Code meaning = (code & 0xff) == SQLITE_CONSTRAINT ? Code::conflict : Code::unavailable;
  throw StatementFailed{Error{meaning, {}, {}, 0}, code};
}

constexpr std::string_view kAccess = "; the user that runs tidemark must own the file and its directory";

sqlite3* open(const std::string& path, bool read_only) {
  sqlite3* connection = nullptr;
  const int flags = SQLITE_OPEN_NOMUTEX | (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  if (sqlite3_open_v2(path.c_str(), &connection, flags, nullptr) != SQLITE_OK) {
    const int reason = connection != nullptr ? sqlite3_system_errno(connection) : ENOMEM;
    const std::string why = reason != 0 ? std::strerror(reason) : sqlite3_errmsg(connection);
    sqlite3_close_v2(connection);
    throw StatementFailed{fail(Code::unavailable, "cannot open " + path + ": " + why + std::string(kAccess))};
  }
  // SQLite falls back to reading where it may not write.
  if (!read_only && sqlite3_db_readonly(connection, "main") == 1) {
    sqlite3_close_v2(connection);
    throw StatementFailed{fail(Code::unavailable, "cannot write " + path + ": Permission denied" + std::string(kAccess))};
  }
  sqlite3_extended_result_codes(connection, 1);
  return connection;
}

}  // namespace

SqliteStatement::SqliteStatement(sqlite3* connection, const char* sql) : connection_(connection) {
  int code = prepare(sql);
  if (code == SQLITE_ERROR) {
    // "No such table" is also what a connection says that knows an old schema and could not read the new one. So it is
    // read: if that fails, that is the reason.
    if (sqlite3_exec(connection, "SELECT count(*) FROM sqlite_schema", nullptr, nullptr, nullptr) != SQLITE_OK) {
      raise(connection);
    }
    code = prepare(sql);
  }
  if (code != SQLITE_OK) {
    if (code == SQLITE_ERROR) {
      // The schema is not this program's: a mistake here, or the database of another program.
      log_error("storage.statement_refused", {{"why", sqlite3_errmsg(connection)}});
      throw StatementFailed{fail(Code::internal, "the tables of this database are not Tidemark's")};
    }
    raise(connection);
  }
  writes_ = sqlite3_stmt_readonly(statement_) == 0;
}

int SqliteStatement::prepare(const char* sql) {
  return sqlite3_prepare_v3(connection_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement_, nullptr) & 0xff;
}

bool SqliteStatement::next() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) {
    return true;
  }
  if (code == SQLITE_DONE) {
    sqlite3_reset(statement_);
    return false;
  }
  sqlite3_reset(statement_);
  raise(connection_);
}

std::string_view SqliteStatement::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  return data == nullptr ? std::string_view()
                         : std::string_view(data, static_cast<size_t>(sqlite3_column_bytes(statement_, column)));
}

void SqliteStatement::bind(int index, int64_t value) {
  if (sqlite3_bind_int64(statement_, index, value) != SQLITE_OK) {
    raise(connection_);
  }
}

void SqliteStatement::bind_text(int index, std::string_view value, sqlite3_destructor_type life) {
  if (sqlite3_bind_text64(statement_, index, value.data() == nullptr ? "" : value.data(), value.size(), life,
                          SQLITE_UTF8) != SQLITE_OK) {
    raise(connection_);
  }
}

// The value is copied: a statement may be stepped after the caller's temporary is gone.
void SqliteStatement::bind(int index, std::string_view value) { bind_text(index, value, SQLITE_TRANSIENT); }

void SqliteStatement::bind_borrowed(int index, std::string_view value) { bind_text(index, value, SQLITE_STATIC); }

void SqliteStatement::bind_null(int index) {
  if (sqlite3_bind_null(statement_, index) != SQLITE_OK) {
    raise(connection_);
  }
}

SqliteConnection::SqliteConnection(const std::string& path, bool read_only)
    : owned_(open(path, read_only)),
      connection_(owned_.get()),
      begin_holder_(std::make_unique<SqliteStatement>(connection_, read_only ? "BEGIN" : "BEGIN IMMEDIATE")),
      commit_holder_(std::make_unique<SqliteStatement>(connection_, "COMMIT")),
      savepoint_holder_(std::make_unique<SqliteStatement>(connection_, "SAVEPOINT closure")),
      release_holder_(std::make_unique<SqliteStatement>(connection_, "RELEASE closure")),
      begin_(*begin_holder_),
      commit_(*commit_holder_),
      savepoint_(*savepoint_holder_),
      release_(*release_holder_) {}

SqliteConnection::~SqliteConnection() = default;

void SqliteConnection::leave_the_wal() {
  sqlite3_db_config(connection_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
}

void SqliteConnection::run(const char* sql) {
  SqliteStatement statement(connection_, sql);
  step(statement);
}

void SqliteConnection::rollback() {
  reset_statements();
  if (in_transaction()) {
    sqlite3_exec(connection_, "ROLLBACK", nullptr, nullptr, nullptr);
  }
}

void SqliteConnection::rollback_to_savepoint() {
  reset_statements();
  run("ROLLBACK TO closure");
  release();
}

void SqliteConnection::reset_statements() {
  for (SqliteStatement* const statement : used_) {
    statement->reset();
  }
  used_.clear();
  may_have_written_ = false;
}

Statement& SqliteConnection::prepare(const Sql& sql) {
  auto& statement = statements_[&sql];
  if (!statement) {
    try {
      statement = std::make_unique<SqliteStatement>(connection_, sql.common);
    } catch (...) {
      statements_.erase(&sql);
      throw;
    }
  } else {
    statement->reset();
  }
  used_.push_back(statement.get());
  may_have_written_ = may_have_written_ || statement->writes();
  return *statement;
}

void SqliteConnection::step(SqliteStatement& statement) {
  while (statement.next()) {
  }
}

}  // namespace tidemark::storage
