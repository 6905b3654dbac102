#include "app/data_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "storage/sqlite_backup.h"

namespace tidemark::app {
namespace {

constexpr const char* kLockName = "tidemark.lock";

std::filesystem::path directory_of(const std::string& database_path) {
  const auto parent = std::filesystem::path(database_path).parent_path();
  return parent.empty() ? std::filesystem::path(".") : parent;
}

// Makes the directory and those above it that are missing. A name is durable when the directory that holds it was synced:
// without that a power cut could take back the whole store, whatever was synced inside.
Status make_directories(const std::filesystem::path& directory) {
  std::error_code error;
  std::vector<std::filesystem::path> made;
  for (auto each = std::filesystem::absolute(directory); !std::filesystem::exists(each, error) && each.has_relative_path();
       each = each.parent_path()) {
    made.push_back(each);
  }
  std::filesystem::create_directories(directory, error);
  if (error) {
    return fail(Code::unavailable, "cannot make " + directory.string() + ": " + error.message());
  }
  for (const std::filesystem::path& each : made) {
    if (const Status synced = storage::sync_path(each.parent_path().string()); !synced.ok()) {
      return synced;
    }
  }
  return {};
}

}  // namespace

Result<DataDirectory> DataDirectory::open(const std::string& database_path) {
  const std::filesystem::path directory = directory_of(database_path);
  std::error_code error;
  if (!std::filesystem::exists(directory, error)) {
    if (const Status made = make_directories(directory); !made.ok()) {
      return made.error();
    }
    std::filesystem::permissions(directory, std::filesystem::perms::owner_all, error);
  }
  const std::string path = (directory / kLockName).string();
  const int lock = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) {
    return fail(Code::unavailable, "cannot open " + path + ": " + std::strerror(errno));
  }
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    ::close(lock);
    return fail(Code::unavailable, "another tidemark uses " + directory.string() +
                                       ": stop it, or give this one its own storage.url");
  }
  return DataDirectory(directory.string(), lock);
}

DataDirectory::~DataDirectory() {
  if (lock_ >= 0) {
    ::close(lock_);
  }
}

std::string DataDirectory::of(const std::string& database_path) { return directory_of(database_path).string(); }

bool DataDirectory::is_held(const std::string& database_path) {
  const std::string path = (directory_of(database_path) / kLockName).string();
  const int lock = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (lock < 0) {
    return false;
  }
  const bool held = ::flock(lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(lock);
  return held;
}

Status DataDirectory::check_private() const {
  struct stat found {};
  if (::lstat(path_.c_str(), &found) == 0 && S_ISDIR(found.st_mode) && found.st_uid == ::geteuid() &&
      (found.st_mode & (S_IWGRP | S_IWOTH)) == 0) {
    return {};
  }
  return fail(Code::unavailable, path_ + " is somebody else's: remove it, or set XDG_RUNTIME_DIR");
}

std::string DataDirectory::dev_secret_path(const std::string& database_path) {
  return (directory_of(database_path) / "dev.secret").string();
}

Status DataDirectory::write_dev_secret(const std::string& secret) const {
  const std::string path = path_ + "/dev.secret";
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  // A file that is there already keeps its mode at open.
  const bool written = file >= 0 && ::fchmod(file, 0600) == 0 &&
                       ::write(file, secret.data(), secret.size()) == static_cast<ssize_t>(secret.size());
  if (file >= 0) {
    ::close(file);
  }
  return written ? Status() : Status(fail(Code::unavailable, "cannot write " + path));
}

void DataDirectory::remove_dev_secret() const { ::unlink((path_ + "/dev.secret").c_str()); }

}  // namespace tidemark::app
