// What nodes leave in the database for one another and for themselves: whose it is, and which transactions were committed.
// Used only by the files storage/postgres_*.
//
// `node_owner` has one row, the name of the node that owns the database. Whoever takes over writes its own, then waits for
// the transactions that began before. `commit_marks` has a row for each writer, with the number of its newest transaction,
// locked from the begin of that transaction to its end (docs/decisions/0027-what-became-of-a-commit.md).
#pragma once

#include <cstdint>
#include <string>

#include "storage/postgres_connection.h"

namespace tidemark::storage {

// The beginning of each writing transaction: holds off whoever takes over, then leaves the mark $2 of writer $1, unless
// another than $3 owns the database: then no row. An empty owner is not looked for.
extern const char* const kShareOwnership;
extern const char* const kLeaveMark;

// All of these throw StatementFailed.
// The tables, if they are not there; without marks that nobody has left for a day.
void make_marks(PostgresConnection& connection);
// The last mark of the writer that was committed, 0 if none was. Waits for a transaction that still holds the row;
// kPostgresAgain when that takes too long.
int64_t last_mark(PostgresConnection& connection, const std::string& writer);

// The lock of the node that owns the database, for as long as the connection lives. False: somebody has it.
bool take_lock(PostgresConnection& connection);
// Ends the server's process `backend` if it has the lock: an old connection of one's own that the server takes for alive.
void end_lock_of(PostgresConnection& connection, int backend);
// From now on; kPostgresAgain when transactions of the owner before still run.
void take_over(PostgresConnection& connection, const std::string& owner);
std::string owner_of(PostgresConnection& connection);

}  // namespace tidemark::storage
