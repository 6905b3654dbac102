// The functions that SQLite calls: each asks the FaultyVfs, then the unix VFS behind it.
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "disk_file.h"
#include "faulty_vfs.h"

namespace tidemark::faults {
namespace {

bool is_log(int flags) {
  return (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL)) != 0;
}

// What SQLite holds of an open file. The real one stands behind it in the same block of memory.
struct FaultyFile {
  sqlite3_file base;
  std::shared_ptr<DiskFile>* disk;  // null for a temporary file
  const char* path;                 // SQLite keeps it until xClose
  bool syncs_directory;
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
  const sqlite3_io_methods& methods() { return *real()->pMethods; }
};

}  // namespace

struct FaultyMethods {
  static FaultyVfs& vfs() { return FaultyVfs::instance(); }
  static FaultyFile& of(sqlite3_file* file) { return *reinterpret_cast<FaultyFile*>(file); }

  static int open(sqlite3_vfs*, const char* path, sqlite3_file* file, int flags, int* out_flags) {
    FaultyFile& self = of(file);
    self = FaultyFile{};
    FaultyVfs& shim = vfs();
    if (!shim.ask(Operation::open, path).proceed) {
      return SQLITE_CANTOPEN;
    }
    struct stat status {};
    const bool existed = path != nullptr && ::stat(path, &status) == 0;
    const int code = shim.real_->xOpen(shim.real_, path, self.real(), flags, out_flags);
    if (self.real()->pMethods == nullptr) {
      return code;
    }
    self.base.pMethods = table();
    if (code == SQLITE_OK && path != nullptr) {
      const std::lock_guard lock(shim.mutex_);
      self.path = path;
      self.disk = new std::shared_ptr<DiskFile>(shim.file_of(path, existed, status.st_size));
      self.syncs_directory = is_log(flags) && (flags & SQLITE_OPEN_CREATE) != 0;
    }
    return code;
  }

  static int remove(sqlite3_vfs*, const char* path, int sync_directory) {
    FaultyVfs& shim = vfs();
    const std::lock_guard lock(shim.mutex_);
    if (!shim.ask_locked(Operation::remove, path).proceed) {
      return SQLITE_IOERR_DELETE;
    }
    if (const auto known = shim.files_.find(path); known != shim.files_.end()) {
      if (known->second->entry_durable) {
        shim.ghosts_[path] = known->second->durable_content(path);
      }
      shim.files_.erase(known);
    }
    const int code = shim.real_->xDelete(shim.real_, path, 0);
    if (code == SQLITE_OK && sync_directory != 0) {
      shim.sync_directory(path);
    }
    return code;
  }

  static int close(sqlite3_file* file) {
    FaultyFile& self = of(file);
    const int code = self.methods().xClose(self.real());
    delete self.disk;
    self.disk = nullptr;
    return code;
  }

  static int read(sqlite3_file* file, void* to, int size, sqlite3_int64 at) {
    FaultyFile& self = of(file);
    const auto verdict = vfs().ask(Operation::read, self.path);
    if (!verdict.proceed) {
      if (verdict.effect == Effect::short_read) {
        self.methods().xRead(self.real(), to, size, at);
        std::memset(static_cast<char*>(to) + size / 2, 0, static_cast<size_t>(size - size / 2));
        return SQLITE_IOERR_SHORT_READ;
      }
      return SQLITE_IOERR_READ;
    }
    return self.methods().xRead(self.real(), to, size, at);
  }

  static int write(sqlite3_file* file, const void* from, int size, sqlite3_int64 at) {
    FaultyFile& self = of(file);
    FaultyVfs& shim = vfs();
    const std::lock_guard lock(shim.mutex_);
    const auto verdict = shim.ask_locked(Operation::write, self.path == nullptr ? "" : self.path);
    if (!verdict.proceed) {
      return verdict.effect == Effect::full ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    }
    if (self.disk != nullptr) {
      sqlite3_int64 length = 0;
      self.methods().xFileSize(self.real(), &length);
      if (shim.full_ && at + size > length) {
        return SQLITE_FULL;
      }
      (*self.disk)->keep(self.real(), std::min<int64_t>(at, length), at + size, length);
    }
    return self.methods().xWrite(self.real(), from, size, at);
  }

  static int truncate(sqlite3_file* file, sqlite3_int64 size) {
    FaultyFile& self = of(file);
    FaultyVfs& shim = vfs();
    const std::lock_guard lock(shim.mutex_);
    if (!shim.ask_locked(Operation::truncate, self.path == nullptr ? "" : self.path).proceed) {
      return SQLITE_IOERR_TRUNCATE;
    }
    if (self.disk != nullptr) {
      sqlite3_int64 length = 0;
      self.methods().xFileSize(self.real(), &length);
      (*self.disk)->keep(self.real(), size, length, length);
    }
    return self.methods().xTruncate(self.real(), size);
  }

  // The real sync is left out: what is durable is decided here.
  static int sync(sqlite3_file* file, int) {
    FaultyFile& self = of(file);
    FaultyVfs& shim = vfs();
    std::unique_lock lock(shim.mutex_);
    shim.wait_before_sync(lock);
    const auto verdict = shim.ask_locked(Operation::sync, self.path == nullptr ? "" : self.path);
    if (!verdict.proceed) {
      if (verdict.effect && self.disk != nullptr) {
        (*self.disk)->sync_failed();
      }
      return SQLITE_IOERR_FSYNC;
    }
    if (self.disk != nullptr) {
      sqlite3_int64 length = 0;
      self.methods().xFileSize(self.real(), &length);
      (*self.disk)->synced(length);
      if (self.syncs_directory) {
        shim.sync_directory(self.path);
        self.syncs_directory = false;
      }
    }
    return SQLITE_OK;
  }

  static int size(sqlite3_file* file, sqlite3_int64* size) {
    FaultyFile& self = of(file);
    return vfs().ask(Operation::size, self.path).proceed ? self.methods().xFileSize(self.real(), size)
                                                         : SQLITE_IOERR_FSTAT;
  }
  static int lock(sqlite3_file* file, int level) {
    FaultyFile& self = of(file);
    return vfs().ask(Operation::lock, self.path).proceed ? self.methods().xLock(self.real(), level) : SQLITE_IOERR_LOCK;
  }
  static int unlock(sqlite3_file* file, int level) { return of(file).methods().xUnlock(of(file).real(), level); }
  static int is_reserved(sqlite3_file* file, int* out) {
    return of(file).methods().xCheckReservedLock(of(file).real(), out);
  }
  static int control(sqlite3_file* file, int op, void* argument) {
    return of(file).methods().xFileControl(of(file).real(), op, argument);
  }
  static int sector_size(sqlite3_file* file) { return of(file).methods().xSectorSize(of(file).real()); }
  static int characteristics(sqlite3_file* file) { return of(file).methods().xDeviceCharacteristics(of(file).real()); }

  static int shm_map(sqlite3_file* file, int page, int size, int extend, void volatile** out) {
    FaultyFile& self = of(file);
    return vfs().ask(Operation::shm, self.path).proceed
               ? self.methods().xShmMap(self.real(), page, size, extend, out)
               : SQLITE_IOERR_SHMMAP;
  }
  static int shm_lock(sqlite3_file* file, int offset, int count, int flags) {
    FaultyFile& self = of(file);
    const bool unlocks = (flags & SQLITE_SHM_UNLOCK) != 0;  // cannot fail
    return unlocks || vfs().ask(Operation::shm, self.path).proceed
               ? self.methods().xShmLock(self.real(), offset, count, flags)
               : SQLITE_IOERR_SHMLOCK;
  }
  static void shm_barrier(sqlite3_file* file) { of(file).methods().xShmBarrier(of(file).real()); }
  static int shm_unmap(sqlite3_file* file, int remove) { return of(file).methods().xShmUnmap(of(file).real(), remove); }

  static const sqlite3_io_methods* table() {
    static const sqlite3_io_methods methods = [] {
      sqlite3_io_methods all{};
      all.iVersion = 2;  // no memory mapping: every access is seen
      all.xClose = close;
      all.xRead = read;
      all.xWrite = write;
      all.xTruncate = truncate;
      all.xSync = sync;
      all.xFileSize = size;
      all.xLock = lock;
      all.xUnlock = unlock;
      all.xCheckReservedLock = is_reserved;
      all.xFileControl = control;
      all.xSectorSize = sector_size;
      all.xDeviceCharacteristics = characteristics;
      all.xShmMap = shm_map;
      all.xShmLock = shm_lock;
      all.xShmBarrier = shm_barrier;
      all.xShmUnmap = shm_unmap;
      return all;
    }();
    return &methods;
  }
};

void FaultyVfs::use_methods() {
  vfs_.szOsFile = static_cast<int>(sizeof(FaultyFile)) + real_->szOsFile;
  vfs_.xOpen = FaultyMethods::open;
  vfs_.xDelete = FaultyMethods::remove;
}

}  // namespace tidemark::faults
