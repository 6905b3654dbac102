#include "storage/postgres_connection.h"

#include <poll.h>

#include <charconv>

#include "core/log.h"
#include "storage/postgres_marks.h"
#include "storage/postgres_text.h"

namespace tidemark::storage {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kOldestServer = 130000;
constexpr auto kBeyondStatement = std::chrono::milliseconds(500);  // the server's own limit comes first

StatementFailed unreachable(std::string text) { return {fail(Code::unavailable, std::move(text)), kPostgresLost}; }

// https://www.postgresql.org/docs/15/errcodes-appendix.html
PostgresFailure failure_of(std::string_view state) {
  if (state == "23505") {
    return kPostgresConflict;
  }
  if (state == "40001" || state == "40P01" || state == "55P03") {
    return kPostgresAgain;
  }
  // 25006: the session may only read, and a new one may write again.
  if (state.starts_with("57P") || state.starts_with("08") || state == "25P03" || state == "25006") {
    return kPostgresLost;
  }
  return kPostgresOther;
}

// Fit for one line: what follows are hints.
std::string first_line(const char* text) {
  const std::string_view whole(text);
  return std::string(whole.substr(0, whole.find('\n')));
}

}  // namespace

PostgresConnection::PostgresConnection(const PostgresOptions& options, std::chrono::milliseconds connect_limit)
    : answer_limit_(options.statement_timeout + kBeyondStatement) {
  connect(options, connect_limit);
}

PostgresConnection::~PostgresConnection() = default;

void PostgresConnection::connect(const PostgresOptions& options, std::chrono::milliseconds limit) {
  // Of two that name the same, the later one counts: what the URL says is never overwritten.
  const char* const keys[] = {"keepalives_idle", "tcp_user_timeout", "fallback_application_name", "client_encoding",
                              "dbname", nullptr};
  const char* const values[] = {"10", "5000", "tidemark", "UTF8", options.url.c_str(), nullptr};
  connection_.reset(PQconnectStartParams(keys, values, 1));
  const bool in_time = finish_connecting(Clock::now() + limit);
  if (lost()) {
    const std::string why = !in_time ? "no answer in time"
                            : connection_ ? first_line(PQerrorMessage(connection_.get())) : "out of memory";
    throw unreachable("PostgreSQL cannot be reached: " + why);
  }
  PQsetNoticeProcessor(connection_.get(), [](void*, const char*) {}, nullptr);
  if (PQserverVersion(connection_.get()) < kOldestServer) {
    throw StatementFailed{fail(Code::unavailable, "PostgreSQL 13 or newer is needed"), kPostgresOther};
  }
  const char* const encoding = PQparameterStatus(connection_.get(), "server_encoding");
  if (encoding == nullptr || std::string_view(encoding) != "UTF8") {
    throw StatementFailed{fail(Code::unavailable, "the database must have the encoding UTF8: CREATE DATABASE … ENCODING "
                                                  "'UTF8' TEMPLATE template0"), kPostgresOther};
  }
  if (PQsetnonblocking(connection_.get(), 1) != 0 || PQenterPipelineMode(connection_.get()) != 1) {
    throw unreachable("PostgreSQL: no pipeline");
  }
  const std::string longest = std::to_string(options.statement_timeout.count());
  run("SELECT set_config('statement_timeout', $1, false), set_config('lock_timeout', $2, false),"
      " set_config('idle_in_transaction_session_timeout', $3, false), set_config('synchronous_commit', $4, false),"
      // The server has to notice when this node is gone without a word: it holds a lock.
      " set_config('tcp_keepalives_idle', '5', false), set_config('tcp_keepalives_interval', '2', false),"
      " set_config('tcp_keepalives_count', '3', false), set_config('tcp_user_timeout', '8000', false)",
      {longest, std::to_string(std::max<int64_t>(1, options.statement_timeout.count() / 4)), longest,
       options.synchronous_commit ? "on" : "off"});
  if (run("SHOW transaction_read_only") == "on") {
    throw unreachable("PostgreSQL lets nobody write: the database is read-only, or a standby");
  }
}

// https://www.postgresql.org/docs/15/libpq-connect.html#LIBPQ-PQCONNECTSTARTPARAMS
bool PostgresConnection::finish_connecting(Clock::time_point until) {
  PostgresPollingStatusType wants = PGRES_POLLING_WRITING;
  while (PQstatus(connection_.get()) != CONNECTION_BAD) {
    const short events = wants == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    pollfd descriptor{PQsocket(connection_.get()), events, 0};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
    if (left.count() <= 0 || ::poll(&descriptor, 1, static_cast<int>(left.count())) == 0) {
      connection_.reset();
      return false;
    }
    wants = PQconnectPoll(connection_.get());
    if (wants == PGRES_POLLING_OK || wants == PGRES_POLLING_FAILED) {
      return true;
    }
  }
  return true;
}

void PostgresConnection::begin_writing(const std::string& writer, int64_t mark, const std::string& owner) {
  begun_ = fenced_ = false;
  send_command("BEGIN");
  // Who takes over waits for those who hold it; who begins after that sees another owner.
  send_command(kShareOwnership);
  send_values(kLeaveMark, {writer, std::to_string(mark), owner}, Awaited::mark);
}

void PostgresConnection::await_begun() {
  if (!begun_) {
    wait_for_answers();
  }
  if (fenced_) {
    throw StatementFailed{fail(Code::unavailable), kPostgresFenced};
  }
}

void PostgresConnection::begin_reading() { send_command("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); }

bool PostgresConnection::commit() {
  send_command("COMMIT");
  wait_for_answers();
  return last_tag_ == "COMMIT";  // a transaction that failed before answers ROLLBACK
}

void PostgresConnection::commit_later() {
  send_command("COMMIT");
  if (PQpipelineSync(connection_.get()) != 1) {
    raise_lost("sending");
  }
  awaited_.push_back({Awaited::end});
  PQflush(connection_.get());
}

void PostgresConnection::rollback() {
  try {
    if (!awaited_.empty()) {
      wait_for_answers();  // a failure among them would skip the ROLLBACK
    }
  } catch (const StatementFailed&) {
  }
  try {
    if (!lost()) {
      send_command("ROLLBACK");
      wait_for_answers();
    }
  } catch (const StatementFailed&) {
    connection_.reset();
  }
  end_closure();
}

void PostgresConnection::end_closure() { may_have_written_ = false; }

Statement& PostgresConnection::prepare(const Sql& sql) {
  auto& statement = statements_[&sql];
  if (!statement) {
    const std::string text = numbered_parameters(sql.postgres != nullptr ? sql.postgres : sql.common);
    statement = std::make_unique<PostgresStatement>(*this, "s" + std::to_string(statements_.size()), text,
                                                    !text.starts_with("SELECT"));
  }
  statement->begin_again();
  may_have_written_ = may_have_written_ || statement->writes_;
  return *statement;
}

void PostgresConnection::run(PostgresStatement& statement) {
  send(statement);
  wait_for_answers();
}

void PostgresConnection::run_later(Statement& statement) {
  auto& mine = static_cast<PostgresStatement&>(statement);
  mine.ran_ = true;
  send(mine);
}

void PostgresConnection::send(PostgresStatement& statement) {
  if (lost()) {
    raise_lost("sending");
  }
  if (!statement.prepared_) {
    if (PQsendPrepare(connection_.get(), statement.name_.c_str(), statement.sql_.c_str(), 0, nullptr) != 1) {
      raise_lost("sending");
    }
    awaited_.push_back({Awaited::preparation, &statement});
    statement.prepared_ = true;  // until an answer says that it is not
  }
  std::vector<const char*> values;
  std::vector<int> lengths;
  std::vector<int> formats;
  values.reserve(statement.bound_);
  lengths.reserve(statement.bound_);
  formats.reserve(statement.bound_);
  for (size_t i = 0; i < statement.bound_; ++i) {
    const PostgresStatement::Value& value = statement.values_[i];
    values.push_back(value.null ? nullptr : value.text.c_str());
    lengths.push_back(static_cast<int>(value.text.size()));
    formats.push_back(value.binary ? 1 : 0);
  }
  if (PQsendQueryPrepared(connection_.get(), statement.name_.c_str(), static_cast<int>(values.size()), values.data(),
                          lengths.data(), formats.data(), 0) != 1) {
    raise_lost("sending");
  }
  awaited_.push_back({Awaited::query, &statement});
}

void PostgresConnection::send_command(const char* sql) { send_values(sql, {}, Awaited::command); }

void PostgresConnection::send_values(const char* sql, const std::vector<std::string>& values, Awaited::Kind kind) {
  std::vector<const char*> texts;
  texts.reserve(values.size());
  for (const std::string& value : values) {
    texts.push_back(value.c_str());
  }
  if (lost() || PQsendQueryParams(connection_.get(), sql, static_cast<int>(texts.size()), nullptr, texts.data(), nullptr,
                                  nullptr, 0) != 1) {
    raise_lost("sending");
  }
  awaited_.push_back({kind});
}

std::string PostgresConnection::run(const std::string& sql, const std::vector<std::string>& values) {
  send_values(sql.c_str(), values, Awaited::value);
  value_.clear();
  wait_for_answers();
  return value_;
}

// -- answers ---------------------------------------------------------------------------------------------------------

void PostgresConnection::wait_for_answers() {
  if (lost() || PQpipelineSync(connection_.get()) != 1) {
    raise_lost("sending");
  }
  awaited_.push_back({Awaited::end});
  failed_.reset();
  const auto until = Clock::now() + answer_limit_;
  while (!awaited_.empty()) {
    PGresult* const result = next_result(until);
    if (lost()) {
      PQclear(result);
      raise_lost("reading");
    }
    if (result == nullptr) {
      awaited_.pop_front();  // all of one command
      continue;
    }
    const bool end = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
    take(result, awaited_.front());
    if (end) {
      awaited_.pop_front();
    }
  }
  if (failed_ && failed_->native_code == kPostgresLost) {
    raise_lost("answer");
  }
  if (failed_) {
    throw StatementFailed(*failed_);
  }
}

void PostgresConnection::take(PGresult* result, const Awaited& awaited) {
  std::unique_ptr<PGresult, PostgresStatement::Clearer> owned(result);
  switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
      break;
    case PGRES_PIPELINE_SYNC:
      return;
    default:
      if (awaited.kind == Awaited::preparation) {
        awaited.statement->prepared_ = false;
      }
      if (PQresultStatus(result) != PGRES_PIPELINE_ABORTED) {
        note_failure(result);
      }
      return;
  }
  const auto first_value = [result] {
    return PQntuples(result) > 0 && PQgetisnull(result, 0, 0) == 0 ? std::string(PQgetvalue(result, 0, 0)) : std::string();
  };
  switch (awaited.kind) {
    case Awaited::query: {
      const std::string_view rows(PQcmdTuples(result));
      changed_rows_ = 0;
      std::from_chars(rows.data(), rows.data() + rows.size(), changed_rows_);
      awaited.statement->result_ = std::move(owned);
      break;
    }
    case Awaited::mark:
      begun_ = true;
      fenced_ = std::string_view(PQcmdTuples(result)) == "0";
      break;
    case Awaited::value: value_ = first_value(); break;
    case Awaited::command: last_tag_ = PQcmdStatus(result); break;
    case Awaited::preparation:
    case Awaited::end: break;
  }
}

void PostgresConnection::note_failure(const PGresult* result) {
  if (failed_) {
    return;
  }
  const char* const said = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const std::string_view state = said == nullptr ? "" : said;
  const PostgresFailure kind = failure_of(state);
  Error error = fail(kind == kPostgresConflict ? Code::conflict : Code::unavailable);
  if (kind == kPostgresOther) {
    // The detail of a message may hold values, its primary line names tables and columns only.
    const char* const message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    log_error("storage.statement_refused", {{"sqlstate", state}, {"why", message == nullptr ? "" : message}});
    if (state == "42501") {
      error = fail(Code::unavailable, "the role of storage.url may not do what is needed: the log says what");
    } else if (state.starts_with("42")) {
      error = fail(Code::internal, "the tables of this database are not Tidemark's");
    }
  }
  failed_ = StatementFailed{std::move(error), kind};
}

PGresult* PostgresConnection::next_result(Clock::time_point until) {
  for (;;) {
    if (PQflush(connection_.get()) < 0) {
      raise_lost("sending");
    }
    if (PQisBusy(connection_.get()) == 0) {
      return PQgetResult(connection_.get());
    }
    wait_readable(until);
    if (PQconsumeInput(connection_.get()) == 0) {
      raise_lost("reading");
    }
  }
}

void PostgresConnection::wait_readable(Clock::time_point until) {
  pollfd descriptor{PQsocket(connection_.get()), POLLIN, 0};
  for (;;) {
    descriptor.events = static_cast<short>(POLLIN | (PQflush(connection_.get()) == 1 ? POLLOUT : 0));
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
    if (left.count() <= 0) {
      raise_lost("waiting", kPostgresSilent);
    }
    if (::poll(&descriptor, 1, static_cast<int>(left.count())) > 0 && (descriptor.revents & ~POLLOUT) != 0) {
      return;
    }
  }
}

void PostgresConnection::raise_lost(const char* why, PostgresFailure kind) {
  awaited_.clear();
  if (connection_) {
    log_warn("storage.connection_lost", {{"during", why}});
  }
  connection_.reset();
  throw StatementFailed{fail(Code::unavailable), kind};
}

}  // namespace tidemark::storage
