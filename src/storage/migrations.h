// Numbered schema changes. Each room lists its own; the program joins the lists and applies what is missing, in the
// order of the numbers, each in one transaction, under the lock of the data directory.
#pragma once

#include <span>
#include <string>

#include "storage/database.h"

namespace tidemark::storage {

struct Migration {
  int number;  // unique over all rooms; never reused, never changed once released
  const char* name;
  std::span<const Sql> statements;
};

// Applies what is missing and returns how many were applied. `unavailable` when the schema is of a newer program.
Result<int> migrate(Database& database, std::span<const Migration> migrations);

}  // namespace tidemark::storage
