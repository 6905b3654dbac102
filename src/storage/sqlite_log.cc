// After an fsync that failed, the kernel goes on to show what never reached the disk, and takes it for written: the
// process that comes next reads it, and its own fsync of the log says yes without doing anything. A checkpoint would then
// put into the database what the log on the disk does not have, and a power cut before the log's end is on the disk too
// would bring back an older log: pages of two times, a damaged store. Only writing brings it there, so the log is
// written once more over itself before anything of it is used.
#include <algorithm>
#include <memory>

#include "storage/sqlite_connection.h"

namespace tidemark::storage {
namespace {

constexpr int kPiece = 64 * 1024;  // as large as a page can be; SQLite's own file functions take hardly more at once

int write_again(sqlite3_file* log, sqlite3_int64 size) {
  const auto piece = std::make_unique_for_overwrite<char[]>(kPiece);
  for (sqlite3_int64 at = 0; at < size; at += kPiece) {
    const int bytes = static_cast<int>(std::min<sqlite3_int64>(kPiece, size - at));
    if (const int code = log->pMethods->xRead(log, piece.get(), bytes, at); code != SQLITE_OK) {
      return code;
    }
    if (const int code = log->pMethods->xWrite(log, piece.get(), bytes, at); code != SQLITE_OK) {
      return code;
    }
  }
  return log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
}

}  // namespace

void SqliteConnection::write_log_again() {
  sqlite3_file* log = nullptr;
  int code = sqlite3_file_control(connection_, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
  sqlite3_int64 size = 0;
  if (code == SQLITE_OK && log != nullptr && log->pMethods != nullptr) {
    code = log->pMethods->xFileSize(log, &size);
  }
  if (code == SQLITE_OK && size > 0) {
    begin();  // nobody appends to it meanwhile
    code = write_again(log, size);
    rollback();
  }
  if (code != SQLITE_OK) {
    throw StatementFailed{Error{Code::unavailable, {}, {}, 0}, code};
  }
}

}  // namespace tidemark::storage
