#include "app/restore.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>

#include "app/data_directory.h"
#include "app/store.h"
#include "core/uuid.h"
#include "storage/sqlite_backup.h"

namespace tidemark::app {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kRestoring = ".restoring";
constexpr int kKeptMax = 1000;  // old stores of one second

std::string time_stamp(const Clock& clock) {
  const std::time_t seconds = clock.unix_ms() / 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  return std::string(text, std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &utc));
}

Error failed(const std::string& what) { return fail(Code::unavailable, what + ": " + std::strerror(errno)); }

Status check_source(const std::string& backup, const std::string& store) {
  std::error_code error;
  if (!fs::is_regular_file(backup, error)) {
    return fail(Code::not_found, backup + " is not a file");
  }
  if (fs::equivalent(backup, store, error)) {
    return fail(Code::invalid_field, backup + " is the store itself");
  }
  if (const auto log = fs::file_size(backup + "-wal", error); !error && log > 0) {
    return fail(Code::invalid_field, backup + "-wal lies beside the file: this is a copy of a store in use, and part of "
                                              "it is in there; make backups with `tidemark backup`");
  }
  return {};
}

// The copy in the data directory, checked and renewed, ready to be renamed.
Result<storage::CheckedCopy> prepare(const std::string& backup, const std::string& copy, const std::string& epoch) {
  std::error_code error;
  for (const char* const left : {"", "-journal", "-wal", "-shm"}) {
    fs::remove(copy + left, error);
  }
  if (!fs::copy_file(backup, copy, fs::copy_options::overwrite_existing, error)) {
    return fail(Code::unavailable, "cannot copy " + backup + " to " + copy + ": " + error.message());
  }
  if (::chmod(copy.c_str(), 0600) != 0) {
    return failed("cannot set the mode of " + copy);
  }
  auto checked = storage::check_sqlite_copy(copy, newest_schema());
  if (!checked.ok()) {
    return fail(checked.error().code, backup + " cannot be restored: " + checked.error().text);
  }
  if (const Status renewed = storage::renew_sqlite_copy(copy, epoch); !renewed.ok()) {
    return renewed.error();
  }
  return checked;
}

// Keeps the old store under another name, by links: until the new one is renamed over it, the old one is in its place.
// Gives that name: `wanted`, with a number where an earlier restore of the same second has taken it.
Result<std::string> keep_old(const std::string& store, const std::string& wanted) {
  const bool readable = storage::settle_sqlite(store);
  std::string kept = wanted;
  for (int number = 2; ::link(store.c_str(), kept.c_str()) != 0; ++number) {
    if (errno != EEXIST || number > kKeptMax) {
      return failed("cannot keep the old store as " + kept);
    }
    kept = wanted + "-" + std::to_string(number);
  }
  std::error_code error;
  if (!readable && fs::exists(store + "-wal", error) && ::link((store + "-wal").c_str(), (kept + "-wal").c_str()) != 0) {
    return failed("cannot keep the log of the old store as " + kept + "-wal");
  }
  return kept;
}

// A log that lies beside a database is read with it, also with another one than its own. What was in it is in the old
// store's file by now.
Status remove_logs(const std::string& store) {
  for (const char* const log : {"-wal", "-shm", "-journal"}) {
    if (::unlink((store + log).c_str()) != 0 && errno != ENOENT) {
      return failed("cannot remove " + store + log);
    }
  }
  return {};
}

}  // namespace

Result<Restored> restore_store(const std::string& backup, const std::string& store, bool force, const Clock& clock,
                               Random& random) {
  if (const Status usable = check_source(backup, store); !usable.ok()) {
    return usable.error();
  }
  const auto directory = DataDirectory::open(store);
  if (!directory.ok()) {
    return directory.error();
  }
  std::error_code error;
  const bool replaces = fs::exists(store, error);
  if (replaces && !force) {
    return fail(Code::conflict, store + " is there: add --force to replace it; it will be kept beside the new one");
  }
  Restored result;
  result.epoch = make_uuid7(clock, random).str();
  const std::string copy = store + std::string(kRestoring);
  const auto checked = prepare(backup, copy, result.epoch);
  if (!checked.ok()) {
    fs::remove(copy, error);
    return checked.error();
  }
  result.entries = checked->entries;
  Status done;
  if (replaces) {
    auto kept = keep_old(store, store + ".before-restore-" + time_stamp(clock));
    if (kept.ok()) {
      result.kept = std::move(*kept);
    } else {
      done = kept.error();
    }
  }
  if (done.ok()) {
    done = remove_logs(store);
  }
  if (done.ok()) {
    done = storage::sync_path(directory->path());
  }
  if (done.ok() && ::rename(copy.c_str(), store.c_str()) != 0) {
    done = failed("cannot rename " + copy + " to " + store);
  }
  if (done.ok()) {
    done = storage::sync_path(directory->path());
  }
  if (!done.ok()) {
    fs::remove(copy, error);
    return done.error();
  }
  return result;
}

}  // namespace tidemark::app
