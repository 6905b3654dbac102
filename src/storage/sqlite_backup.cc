#include "storage/sqlite_backup.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "storage/sqlite_connection.h"

namespace tidemark::storage {
namespace {

constexpr int kOpcodesBetweenQuestions = 100'000;  // of SQLite's machine: some milliseconds

constexpr Sql kVacuumInto{"VACUUM INTO ?"};
constexpr Sql kTables{
    "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('store', 'streams', 'entries', 'cursors',"
    " 'schema_migrations')"};
constexpr Sql kSchema{"SELECT coalesce(max(number), 0) FROM schema_migrations"};
constexpr Sql kEpoch{"SELECT count(*) FROM store WHERE name = 'epoch'"};
constexpr Sql kEntries{"SELECT count(*) FROM entries"};
constexpr Sql kCheck{"PRAGMA integrity_check(1)"};
constexpr Sql kSetEpoch{"INSERT INTO store (name, value) VALUES ('epoch', ?) ON CONFLICT (name) DO UPDATE SET"
                        " value = excluded.value"};
constexpr Sql kDropCursors{"DELETE FROM cursors"};

Error failed(const std::string& what) { return fail(Code::unavailable, what); }
Error failed_with_errno(const std::string& what) { return failed(what + ": " + std::strerror(errno)); }

// An open descriptor. Owner: the function that made it.
class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor_ >= 0) {
      ::close(descriptor_);
    }
  }
  int get() const { return descriptor_; }
  bool ok() const { return descriptor_ >= 0; }

 private:
  int descriptor_;
};

std::string directory_of(const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

Status copy_into(const std::string& source, const std::string& partial, const std::function<bool()>& cancelled) {
  SqliteConnection connection(source, true);
  sqlite3_busy_timeout(connection.handle(), 5000);
  sqlite3_progress_handler(
      connection.handle(), kOpcodesBetweenQuestions,
      [](void* question) { return (*static_cast<const std::function<bool()>*>(question))() ? 1 : 0; },
      const_cast<std::function<bool()>*>(&cancelled));
  try {
    connection.execute(kVacuumInto, partial);
  } catch (const StatementFailed& failure) {
    const int code = failure.native_code;
    if ((code & 0xff) == SQLITE_INTERRUPT) {
      return failed("the backup was cancelled");
    }
    return failed("the backup could not be written to " + partial + ": " + sqlite3_errstr(code) +
                  "; is the disk full?");
  }
  return {};
}

}  // namespace

Status sync_path(const std::string& path) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return file.ok() && ::fsync(file.get()) == 0 ? Status() : Status(failed_with_errno("cannot make " + path + " durable"));
}

Status backup_sqlite(const std::string& source, const std::string& target, bool overwrite,
                     const std::function<bool()>& cancelled) {
  std::error_code error;
  if (std::filesystem::is_directory(target, error)) {
    return fail(Code::invalid_field, target + " is a directory: name the file");
  }
  if (!overwrite && std::filesystem::exists(target, error)) {
    return fail(Code::conflict, target + " exists: name another file, or add --force to replace it");
  }
  if (std::filesystem::equivalent(source, target, error)) {
    return fail(Code::invalid_field, target + " is the store itself: name another file");
  }
  const std::string partial = target + ".partial";
  const File lock(::open(partial.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!lock.ok()) {
    return failed_with_errno("cannot write " + partial);
  }
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(Code::conflict, "another backup is writing " + partial);
  }
  // VACUUM INTO wants an empty file; it may hold what a killed backup left. Message contents are for the owner only.
  if (::ftruncate(lock.get(), 0) != 0 || ::fchmod(lock.get(), 0600) != 0) {
    return failed_with_errno("cannot write " + partial);
  }
  Status done;
  try {
    done = copy_into(source, partial, cancelled);
  } catch (const StatementFailed& failure) {
    done = failure.error;
  }
  if (done.ok() && ::fsync(lock.get()) != 0) {
    done = failed_with_errno("cannot make " + partial + " durable");
  }
  if (done.ok() && ::rename(partial.c_str(), target.c_str()) != 0) {
    done = failed_with_errno("cannot rename " + partial + " to " + target);
  }
  if (!done.ok()) {
    ::unlink(partial.c_str());
    return done;
  }
  return sync_path(directory_of(target));
}

Result<CheckedCopy> check_sqlite_copy(const std::string& path, int64_t newest_schema) {
  try {
    SqliteConnection connection(path, true);
    const auto number = [&](const Sql& sql) {
      Statement& rows = connection.query(sql);
      const int64_t value = rows.next() ? rows.integer(0) : 0;
      connection.reset_statements();
      return value;
    };
    if (number(kTables) != 5 || number(kEpoch) != 1) {
      return fail(Code::invalid_field, "this is a database, but not one of Tidemark");
    }
    CheckedCopy copy;
    copy.schema = number(kSchema);
    if (copy.schema > newest_schema) {
      return fail(Code::invalid_field, "it was written by a newer version (schema " + std::to_string(copy.schema) +
                                           ", this program knows " + std::to_string(newest_schema) +
                                           "): use that version");
    }
    Statement& check = connection.query(kCheck);
    const std::string verdict = check.next() ? check.string(0) : "";
    connection.reset_statements();
    if (verdict != "ok") {
      return fail(Code::invalid_field, "it is damaged: " + verdict);
    }
    copy.entries = number(kEntries);
    return copy;
  } catch (const StatementFailed&) {
    return fail(Code::invalid_field, "it is no database, or damaged");
  }
}

Status renew_sqlite_copy(const std::string& path, const std::string& epoch) {
  try {
    SqliteConnection connection(path, false);
    connection.run("PRAGMA journal_mode=DELETE");
    connection.run("PRAGMA synchronous=FULL");
    connection.begin();
    connection.execute(kSetEpoch, epoch);
    connection.execute(kDropCursors);
    connection.commit();
  } catch (const StatementFailed&) {
    return failed("cannot change " + path + "; is the disk full?");
  }
  return sync_path(path);
}

bool settle_sqlite(const std::string& path) {
  try {
    SqliteConnection connection(path, false);
    connection.run("PRAGMA wal_checkpoint(TRUNCATE)");
    // The last connection of a store in WAL mode takes the log away when it closes.
    return true;
  } catch (const StatementFailed&) {
    return false;
  }
}

}  // namespace tidemark::storage
