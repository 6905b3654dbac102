// A prepared statement on a PostgreSQL connection: its values on the way there, its rows on the way back. Used only by the
// files storage/postgres_*.
//
// Owner: its connection. Values and rows are in the text form of the protocol, bytes go in the binary one.
#pragma once

#include <libpq-fe.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "storage/database.h"

namespace tidemark::storage {

class PostgresConnection;

class PostgresStatement final : public Statement {
 public:
  PostgresStatement(PostgresConnection& connection, std::string name, std::string sql, bool writes)
      : connection_(connection), name_(std::move(name)), sql_(std::move(sql)), writes_(writes) {}

  bool next() override;
  bool is_null(int column) const override { return PQgetisnull(result_.get(), row_, column) == 1; }
  int64_t integer(int column) const override;
  std::string_view text(int column) const override;
  void bind(int index, int64_t value) override;
  void bind(int index, std::string_view value) override;
  void bind_bytes(int index, std::string_view value) override;
  void bind_null(int index) override;

 private:
  friend class PostgresConnection;
  struct Value {
    std::string text;
    bool null = false;
    bool binary = false;
  };
  struct Clearer {
    void operator()(PGresult* result) const { PQclear(result); }
  };

  void begin_again();  // forgets values and rows
  Value& value_at(int index);

  PostgresConnection& connection_;
  const std::string name_;
  const std::string sql_;
  const bool writes_;
  bool prepared_ = false;
  std::vector<Value> values_;
  size_t bound_ = 0;  // so many of them
  std::unique_ptr<PGresult, Clearer> result_;
  int row_ = -1;
  bool ran_ = false;
  mutable std::deque<std::string> unescaped_;  // texts of the current row that were stored in another form
};

}  // namespace tidemark::storage
