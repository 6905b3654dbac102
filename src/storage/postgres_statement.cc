#include "storage/postgres_statement.h"

#include <algorithm>
#include <charconv>

#include "storage/postgres_connection.h"
#include "storage/postgres_text.h"

namespace tidemark::storage {
namespace {

constexpr Oid kBytea = 17;  // pg_type.dat

std::string bytes_of(std::string_view hex) {
  size_t size = 0;
  unsigned char* const bytes = PQunescapeBytea(reinterpret_cast<const unsigned char*>(hex.data()), &size);
  std::string result(reinterpret_cast<const char*>(bytes), bytes == nullptr ? 0 : size);
  PQfreemem(bytes);
  return result;
}

}  // namespace

void PostgresStatement::begin_again() {
  bound_ = 0;
  row_ = -1;
  ran_ = false;
  result_.reset();
  unescaped_.clear();
}

bool PostgresStatement::next() {
  if (!ran_) {
    ran_ = true;
    connection_.run(*this);
  }
  unescaped_.clear();
  if (result_ != nullptr && row_ + 1 < PQntuples(result_.get())) {
    ++row_;
    return true;
  }
  begin_again();
  return false;
}

int64_t PostgresStatement::integer(int column) const {
  const char* const digits = PQgetvalue(result_.get(), row_, column);
  int64_t value = 0;
  std::from_chars(digits, digits + PQgetlength(result_.get(), row_, column), value);
  return value;
}

std::string_view PostgresStatement::text(int column) const {
  const std::string_view stored(PQgetvalue(result_.get(), row_, column),
                                static_cast<size_t>(PQgetlength(result_.get(), row_, column)));
  if (PQftype(result_.get(), column) == kBytea) {
    return unescaped_.emplace_back(bytes_of(stored));
  }
  return is_escaped(stored) ? std::string_view(unescaped_.emplace_back(unescape_text(stored))) : stored;
}

PostgresStatement::Value& PostgresStatement::value_at(int index) {
  bound_ = std::max(bound_, static_cast<size_t>(index));
  if (values_.size() < bound_) {
    values_.resize(bound_);
  }
  Value& value = values_[static_cast<size_t>(index) - 1];
  value.null = value.binary = false;
  return value;
}

void PostgresStatement::bind(int index, int64_t value) { value_at(index).text = std::to_string(value); }

void PostgresStatement::bind(int index, std::string_view value) {
  if (needs_escape(value)) {
    value_at(index).text = escape_text(value);
  } else {
    value_at(index).text.assign(value);
  }
}

void PostgresStatement::bind_bytes(int index, std::string_view value) {
  Value& bytes = value_at(index);
  bytes.text.assign(value);
  bytes.binary = true;
}

void PostgresStatement::bind_null(int index) { value_at(index).null = true; }

}  // namespace tidemark::storage
