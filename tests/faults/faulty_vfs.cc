#include "faulty_vfs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

namespace tidemark::faults {
namespace {

constexpr int64_t kSector = 512;
using Sector = std::array<char, kSector>;

std::string directory_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

bool is_log(int flags) {
  return (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL)) != 0;
}

}  // namespace

// What the disk would show of one file after a cut.
struct DiskFile {
  bool entry_durable = true;  // its name in the directory
  int64_t durable_size = 0;
  std::map<int64_t, Sector> before;   // sector -> synced content, for those written since the last sync
  std::map<int64_t, Sector> dropped;  // the same for those whose sync failed

  // Keeps the sectors [from, to) of the file, whose length now is `size`, if they are not kept already.
  void keep(sqlite3_file* real, int64_t from, int64_t to, int64_t size) {
    for (int64_t sector = from / kSector; sector * kSector < to; ++sector) {
      if (before.count(sector) != 0) {
        continue;
      }
      if (const auto old = dropped.find(sector); old != dropped.end()) {
        before.insert(dropped.extract(old));
        continue;
      }
      Sector content{};
      const int64_t left = std::min(kSector, size - sector * kSector);
      if (left > 0) {
        real->pMethods->xRead(real, content.data(), static_cast<int>(left), sector * kSector);
      }
      before.emplace(sector, content);
    }
  }
};

// What SQLite holds of an open file. The real one stands behind it in the same block of memory.
struct FaultyFile {
  sqlite3_file base;
  std::shared_ptr<DiskFile>* disk;  // null for a temporary file
  const char* path;                 // SQLite keeps it until xClose
  bool syncs_directory;
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
  const sqlite3_io_methods& methods() { return *real()->pMethods; }
};

// The functions that SQLite calls.
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
        std::string image = content_of(path);
        image.resize(static_cast<size_t>(known->second->durable_size));
        for (const auto* sectors : {&known->second->before, &known->second->dropped}) {
          for (const auto& [sector, content] : *sectors) {
            const int64_t at = sector * kSector;
            const int64_t left = std::min(kSector, known->second->durable_size - at);
            if (left > 0) {
              image.replace(static_cast<size_t>(at), static_cast<size_t>(left), content.data(), static_cast<size_t>(left));
            }
          }
        }
        shim.ghosts_[path] = std::move(image);
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
        (*self.disk)->dropped.merge((*self.disk)->before);
        (*self.disk)->before.clear();
      }
      return SQLITE_IOERR_FSYNC;
    }
    if (self.disk != nullptr) {
      DiskFile& disk = **self.disk;
      sqlite3_int64 length = 0;
      self.methods().xFileSize(self.real(), &length);
      disk.durable_size = length;
      disk.before.clear();
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

FaultyVfs& FaultyVfs::instance() {
  static FaultyVfs* const vfs = new FaultyVfs;  // SQLite may use it until the very end
  return *vfs;
}

FaultyVfs::FaultyVfs() : real_(sqlite3_vfs_find("unix")), vfs_(*real_) {
  vfs_.szOsFile = static_cast<int>(sizeof(FaultyFile)) + real_->szOsFile;
  vfs_.zName = "faulty";
  vfs_.pNext = nullptr;
  vfs_.xOpen = FaultyMethods::open;
  vfs_.xDelete = FaultyMethods::remove;
}

void FaultyVfs::install() { sqlite3_vfs_register(&vfs_, 1); }

void FaultyVfs::uninstall() {
  sqlite3_vfs_register(real_, 1);
  sqlite3_vfs_unregister(&vfs_);
}

void FaultyVfs::reset() {
  const std::lock_guard lock(mutex_);
  files_.clear();
  ghosts_.clear();
  fault_.reset();
  matching_ = failures_ = 0;
  counts_ = counts_at_failure_ = {};
  full_ = off_ = keep_removed_ = false;
  sync_delay_ms_ = 0;
  syncs_held_ = false;
  syncs_go_on_.notify_all();
  changes_beside_sync_ = 0;
}

void FaultyVfs::set_fault(Fault fault) {
  const std::lock_guard lock(mutex_);
  fault_ = std::move(fault);
  matching_ = failures_ = changes_beside_sync_ = 0;
  counts_ = counts_at_failure_ = {};
}

void FaultyVfs::clear_fault() {
  const std::lock_guard lock(mutex_);
  fault_.reset();
}

void FaultyVfs::set_full(bool full) {
  const std::lock_guard lock(mutex_);
  full_ = full;
}

void FaultyVfs::set_sync_delay(int milliseconds) {
  const std::lock_guard lock(mutex_);
  sync_delay_ms_ = milliseconds;
}

void FaultyVfs::hold_syncs(bool held) {
  const std::lock_guard lock(mutex_);
  syncs_held_ = held;
  syncs_go_on_.notify_all();
}

void FaultyVfs::wait_before_sync(std::unique_lock<std::mutex>& lock) {
  ++syncs_under_way_;
  if (const int delay = sync_delay_ms_; delay > 0) {
    lock.unlock();
    std::this_thread::sleep_for(std::chrono::milliseconds(delay));
    lock.lock();
  }
  syncs_go_on_.wait(lock, [this] { return !syncs_held_; });
  --syncs_under_way_;
}

void FaultyVfs::set_seed(uint64_t seed) {
  const std::lock_guard lock(mutex_);
  random_.seed(seed);
}

void FaultyVfs::keep_removed(bool keep) {
  const std::lock_guard lock(mutex_);
  keep_removed_ = keep;
}

void FaultyVfs::set_power_off(std::function<void()> f) {
  const std::lock_guard lock(mutex_);
  power_off_ = std::move(f);
}

void FaultyVfs::cut_power() {
  const std::lock_guard lock(mutex_);
  cut_locked();
}

void FaultyVfs::power_on() {
  const std::lock_guard lock(mutex_);
  off_ = false;
  fault_.reset();
}

uint64_t FaultyVfs::count(Operation operation) const {
  const std::lock_guard lock(mutex_);
  return counts_[static_cast<size_t>(operation)];
}

uint64_t FaultyVfs::count_since_failure(Operation operation) const {
  const std::lock_guard lock(mutex_);
  return failures_ == 0 ? 0 : counts_[static_cast<size_t>(operation)] - counts_at_failure_[static_cast<size_t>(operation)];
}

uint64_t FaultyVfs::failures() const {
  const std::lock_guard lock(mutex_);
  return failures_;
}

bool FaultyVfs::is_syncing() const {
  const std::lock_guard lock(mutex_);
  return syncs_under_way_ > 0;
}

uint64_t FaultyVfs::changes_beside_sync() const {
  const std::lock_guard lock(mutex_);
  return changes_beside_sync_;
}

bool FaultyVfs::is_off() const {
  const std::lock_guard lock(mutex_);
  return off_;
}

FaultyVfs::Verdict FaultyVfs::ask(Operation operation, const char* path) {
  const std::lock_guard lock(mutex_);
  return ask_locked(operation, path == nullptr ? std::string_view() : std::string_view(path));
}

FaultyVfs::Verdict FaultyVfs::ask_locked(Operation operation, std::string_view path) {
  if (off_) {
    return {false, std::nullopt};
  }
  ++counts_[static_cast<size_t>(operation)];
  const bool changes = operation == Operation::write || operation == Operation::truncate || operation == Operation::remove;
  changes_beside_sync_ += changes && syncs_under_way_ > 0 ? 1 : 0;
  if (!fault_ || fault_->operation != operation || !path.ends_with(fault_->only)) {
    return {};
  }
  ++matching_;
  if (matching_ < fault_->nth || matching_ - fault_->nth >= fault_->times) {
    return {};
  }
  if (++failures_ == 1) {
    counts_at_failure_ = counts_;
  }
  if (fault_->effect == Effect::cut) {
    cut_locked();
    return {false, std::nullopt};
  }
  if (fault_->effect == Effect::crash) {
    off_ = true;
    if (power_off_) {
      power_off_();
    }
    return {false, std::nullopt};
  }
  return {false, fault_->effect};
}

std::shared_ptr<DiskFile> FaultyVfs::file_of(const std::string& path, bool existed, int64_t size) {
  std::shared_ptr<DiskFile>& file = files_[path];
  if (!file) {
    file = std::make_shared<DiskFile>();
    file->entry_durable = existed;
    file->durable_size = existed ? size : 0;
  }
  return file;
}

void FaultyVfs::sync_directory(const std::string& path) {
  const std::string directory = directory_of(path);
  for (auto& [name, file] : files_) {
    file->entry_durable = file->entry_durable || directory_of(name) == directory;
  }
  std::erase_if(ghosts_, [&](const auto& ghost) { return directory_of(ghost.first) == directory; });
}

void FaultyVfs::cut_locked() {
  off_ = true;
  for (auto& [path, file] : files_) {
    lose(path, *file);
    ::unlink((path + "-shm").c_str());
  }
  for (auto& [path, image] : ghosts_) {
    if (keep_removed_ || coin()) {
      std::ofstream(path, std::ios::binary | std::ios::trunc) << image;
    }
  }
  files_.clear();
  ghosts_.clear();
  if (power_off_) {
    power_off_();
  }
}

void FaultyVfs::lose(const std::string& path, DiskFile& file) {
  if (!file.entry_durable && coin()) {
    ::unlink(path.c_str());
    return;
  }
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    return;
  }
  struct stat status {};
  ::fstat(fd, &status);
  const int64_t shown = status.st_size;
  const int64_t size = shown == file.durable_size || coin() ? shown : file.durable_size;
  // All of it, nothing of it, or every sector for itself.
  const uint64_t manner = random_() % 3;
  const auto survives = [&] { return manner == 0 || (manner == 1 && coin()); };
  if (::ftruncate(fd, size) == 0) {
    for (const auto* sectors : {&file.before, &file.dropped}) {
      for (const auto& [sector, content] : *sectors) {
        const int64_t at = sector * kSector;
        // A length that was cut off and came back comes back with its content.
        const bool came_back = size > shown && at + kSector > shown;
        const bool lost = sectors == &file.dropped || came_back || !survives();
        const int64_t left = std::min(kSector, size - at);
        if (lost && left > 0 && ::pwrite(fd, content.data(), static_cast<size_t>(left), at) != left) {
          ::unlink(path.c_str());  // cannot happen on a healthy disk; nothing may look intact
        }
      }
    }
  }
  ::close(fd);
}

}  // namespace tidemark::faults
