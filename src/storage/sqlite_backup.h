// Copies of an SQLite store, and what must be true of a copy before it becomes the store.
//
// Both functions open connections of their own and never touch the writer's; any thread, they take as long as they take.
#pragma once

#include <functional>
#include <string>

#include "core/result.h"

namespace tidemark::storage {

// Writes a copy of the store at `source` to `target` with VACUUM INTO: a snapshot of the moment it begins, one file,
// without what was deleted. Traffic goes on; the write-ahead log of the source grows meanwhile. `target` is replaced
// only when the copy is complete and on the disk; until then it lies beside it as `target` + ".partial", which the next
// backup to the same place takes over. `cancelled` is asked every few milliseconds; true ends it with `unavailable`.
Status backup_sqlite(const std::string& source, const std::string& target, bool overwrite,
                     const std::function<bool()>& cancelled);

struct CheckedCopy {
  int64_t schema = 0;  // number of the newest migration in it
  int64_t entries = 0;
};
// Whether the file is an undamaged Tidemark store of a schema up to `newest_schema`: reads all of it.
Result<CheckedCopy> check_sqlite_copy(const std::string& path, int64_t newest_schema);

// Gives a copy that nobody uses another epoch, removes every device's cursors, and leaves it as one durable file.
Status renew_sqlite_copy(const std::string& path, const std::string& epoch);

// Writes what the write-ahead log of a store that nobody uses holds into its file. False: it could not be read.
bool settle_sqlite(const std::string& path);

// Makes a file, or a directory's list of names, durable.
Status sync_path(const std::string& path);

}  // namespace tidemark::storage
