// Database on a PostgreSQL server: connections that write, connections that read, each with a thread.
//
// Each worker's writes go over one and the same connection, so that they run in the order they were submitted. Reads see
// a snapshot of their own (REPEATABLE READ), writes what is committed at each statement (READ COMMITTED): what two writers
// could change at the same time is locked by its row, or caught by a unique index, and the closure runs again.
// Promises as in storage/database.h. A job is answered after the server has said that its transaction is committed, or
// after it was found out that it is; `unavailable` after about five seconds in which that could not be found out.
#pragma once

#include <memory>

#include "core/metrics.h"
#include "storage/postgres_connection.h"

namespace tidemark::storage {

// Connects, and takes the database for this node alone if the options say so. The error's text never holds the URL.
Result<std::unique_ptr<Database>> open_postgres(PostgresOptions options, MetricRegistry& metrics);

}  // namespace tidemark::storage
