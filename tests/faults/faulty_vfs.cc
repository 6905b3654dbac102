#include "faulty_vfs.h"

#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "disk_file.h"

namespace tidemark::faults {
namespace {

std::string directory_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace

FaultyVfs& FaultyVfs::instance() {
  static FaultyVfs* const vfs = new FaultyVfs;  // SQLite may use it until the very end
  return *vfs;
}

FaultyVfs::FaultyVfs() : real_(sqlite3_vfs_find("unix")), vfs_(*real_) {
  vfs_.zName = "faulty";
  vfs_.pNext = nullptr;
  use_methods();
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
    file->lose(path, random_);
    ::unlink((path + "-shm").c_str());
  }
  for (auto& [path, image] : ghosts_) {
    if (keep_removed_ || coin(random_)) {
      std::ofstream(path, std::ios::binary | std::ios::trunc) << image;
    }
  }
  files_.clear();
  ghosts_.clear();
  if (power_off_) {
    power_off_();
  }
}

}  // namespace tidemark::faults
