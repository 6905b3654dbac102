#include "storage/migrations.h"

#include <algorithm>
#include <vector>

namespace tidemark::storage {
namespace {

constexpr Sql kCreateTable{
    "CREATE TABLE IF NOT EXISTS schema_migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL)"};
constexpr Sql kSelectNumbers{"SELECT number FROM schema_migrations ORDER BY number"};
constexpr Sql kInsertNumber{"INSERT INTO schema_migrations (number, name) VALUES (?, ?)"};

}  // namespace

Result<int> migrate(Database& database, std::span<const Migration> migrations) {
  std::vector<Migration> sorted(migrations.begin(), migrations.end());
  std::sort(sorted.begin(), sorted.end(), [](const Migration& a, const Migration& b) { return a.number < b.number; });
  for (size_t i = 1; i < sorted.size(); ++i) {
    TIDEMARK_CHECK(sorted[i - 1].number < sorted[i].number);
  }
  const auto applied = database.write_now([](Transaction& tx) -> Result<std::vector<int64_t>> {
    tx.execute(kCreateTable);
    std::vector<int64_t> numbers;
    for (Statement& rows = tx.query(kSelectNumbers); rows.next();) {
      numbers.push_back(rows.integer(0));
    }
    return numbers;
  });
  if (!applied.ok()) {
    return applied.error();
  }
  if (!applied->empty() && !sorted.empty() && applied->back() > sorted.back().number) {
    return fail(Code::unavailable, "the database was written by a newer version (schema " +
                                       std::to_string(applied->back()) + ", this program knows " +
                                       std::to_string(sorted.back().number) + "): use that version");
  }
  int count = 0;
  for (const Migration& migration : sorted) {
    if (std::find(applied->begin(), applied->end(), migration.number) != applied->end()) {
      continue;
    }
    const auto done = database.write_now([&](Transaction& tx) -> Status {
      for (const Sql& statement : migration.statements) {
        tx.execute(statement);
      }
      tx.execute(kInsertNumber, migration.number, migration.name);
      return {};
    });
    if (!done.ok()) {
      return done.error();
    }
    ++count;
  }
  return count;
}

}  // namespace tidemark::storage
