// What is typed into a search field: SQLite's full-text index understands every query that is made of it.
#include <simdjson.h>
#include <sqlite3.h>

#include <string>

#include "conversation/search_query.h"
#include "fuzz.h"

namespace tidemark::conversation {
namespace {

// Asks an index of its own, which lives as long as the process.
sqlite3_stmt* statement() {
  static sqlite3_stmt* const kStatement = [] {
    sqlite3* database = nullptr;
    TIDEMARK_CHECK(sqlite3_open(":memory:", &database) == SQLITE_OK);
    TIDEMARK_CHECK(sqlite3_exec(database,
                                "CREATE VIRTUAL TABLE search USING fts5(content, columnsize=0, "
                                "tokenize=\"unicode61 remove_diacritics 2\");"
                                "INSERT INTO search (content) VALUES ('a quick brown fox'), ('caf\xc3\xa9 x OR y');",
                                nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_stmt* made = nullptr;
    TIDEMARK_CHECK(sqlite3_prepare_v2(database, "SELECT rowid FROM search WHERE search MATCH ?", -1, &made, nullptr) ==
                   SQLITE_OK);
    return made;
  }();
  return kStatement;
}

}  // namespace

FUZZ_TARGET(search_query, bytes) {
  if (bytes.size() > kSearchBytesMax || !simdjson::validate_utf8(bytes.data(), bytes.size())) {
    return;  // the field's limit and every door's check
  }
  const auto query = search_query(bytes);
  if (!query.ok()) {
    TIDEMARK_CHECK(query.error().code == Code::invalid_field);
    return;
  }
  sqlite3_stmt* const ask = statement();
  TIDEMARK_CHECK(sqlite3_bind_text(ask, 1, query->data(), static_cast<int>(query->size()), SQLITE_TRANSIENT) ==
                 SQLITE_OK);
  int result = SQLITE_ROW;
  while (result == SQLITE_ROW) {
    result = sqlite3_step(ask);
  }
  TIDEMARK_CHECK(result == SQLITE_DONE);
  sqlite3_reset(ask);
}

}  // namespace tidemark::conversation
