// For tests: an SQLite VFS between SQLite and the disk that fails, waits, fills up and forgets what was not synced.
//
// Owner: one per process; any thread. Lives for ever. Nothing of it is in the program that is shipped.
//
// The model of a power cut. Writes go to the real file at once, and every 512-byte sector's last synced content is kept
// until the next xSync. At the cut each sector that was not synced survives or falls back, each alone; so do a changed
// length, a new name in the directory, and a removed one. The names of a directory become durable at the first xSync of
// a WAL or journal that was opened with SQLITE_OPEN_CREATE, which is when the unix VFS syncs the directory. After an
// xSync that failed, what it should have written counts as dropped: a later xSync that succeeds does not bring it to the
// disk, only writing it again does. The wal-index (-shm) is memory and is gone.
// Not modelled: sectors that come back as garbage; files that do not go through SQLite.
#pragma once

#include <sqlite3.h>

#include <array>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>

namespace tidemark::faults {

enum class Operation { open, read, write, sync, truncate, remove, size, lock, shm };
inline constexpr std::array<std::string_view, 9> kOperationNames{"open",   "read", "write", "sync", "truncate",
                                                                 "remove", "size", "lock",  "shm"};

enum class Effect {
  fail,        // SQLITE_IOERR_… of the operation, SQLITE_CANTOPEN for open
  full,        // SQLITE_FULL
  short_read,  // half of it, the rest zero
  crash,       // the process is gone before the operation; the disk keeps what was written
  cut,         // the power is gone before the operation
};

struct Fault {
  Operation operation = Operation::sync;
  uint64_t nth = 1;    // counted from set_fault(); 1 is the next
  uint64_t times = 1;  // so many, one after another
  Effect effect = Effect::fail;
  std::string only = {};  // files whose path ends so, and only these are counted for `nth`; empty: all
};

struct DiskFile;

class FaultyVfs {
 public:
  static FaultyVfs& instance();

  void install();    // the default VFS of what is opened from now on
  void uninstall();  // back to the unix VFS
  void reset();      // power on, no faults, counters at zero; what is on the disk is durable

  void set_fault(Fault fault);  // replaces the one before; counters start at zero
  void clear_fault();
  void set_full(bool full);                    // no file can grow
  void set_sync_delay(int milliseconds);       // before every xSync
  void hold_syncs(bool held);                  // every xSync waits until it is false again
  void set_seed(uint64_t seed);                // decides what survives a cut
  void keep_removed(bool keep);  // after a cut every removed file is there again, instead of each by chance
  void set_power_off(std::function<void()> f);  // what a crash or a cut does beside failing every operation after it

  void cut_power();  // now
  void power_on();   // after a crash or cut, when the database was closed; what was not synced before stays so

  uint64_t count(Operation operation) const;  // since set_fault() or reset()
  uint64_t count_since_failure(Operation operation) const;
  uint64_t failures() const;  // faults that struck since set_fault() or reset()
  bool is_syncing() const;    // an xSync waits or is delayed
  uint64_t changes_beside_sync() const;  // writes, truncates and removes meanwhile, since set_fault() or reset()
  bool is_off() const;

 private:
  friend struct FaultyMethods;

  struct Verdict {
    bool proceed = true;
    std::optional<Effect> effect;  // with proceed == false; none: the power is off
  };

  FaultyVfs();
  void use_methods();  // what SQLite calls, in faulty_methods.cc
  Verdict ask(Operation operation, const char* path);
  Verdict ask_locked(Operation operation, std::string_view path);
  void wait_before_sync(std::unique_lock<std::mutex>& lock);
  void cut_locked();
  void sync_directory(const std::string& path);
  std::shared_ptr<DiskFile> file_of(const std::string& path, bool existed, int64_t size);

  sqlite3_vfs* real_;
  sqlite3_vfs vfs_;

  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<DiskFile>> files_;  // by path; those that exist
  std::map<std::string, std::string> ghosts_;               // removed, but the directory may not know it yet
  std::optional<Fault> fault_;
  uint64_t matching_ = 0;
  uint64_t failures_ = 0;
  std::array<uint64_t, kOperationNames.size()> counts_{};
  std::array<uint64_t, kOperationNames.size()> counts_at_failure_{};
  bool full_ = false;
  bool off_ = false;
  bool keep_removed_ = false;
  int sync_delay_ms_ = 0;
  bool syncs_held_ = false;
  std::condition_variable syncs_go_on_;
  int syncs_under_way_ = 0;
  uint64_t changes_beside_sync_ = 0;
  std::mt19937_64 random_{1};
  std::function<void()> power_off_;
};

}  // namespace tidemark::faults
