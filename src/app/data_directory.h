// The directory of an embedded store: made if absent, held by one process at a time.
#pragma once

#include <string>

#include "core/result.h"

namespace tidemark::app {

class DataDirectory {
 public:
  // Makes the directory (mode 0700) and takes its lock; `unavailable` when another process holds it.
  static Result<DataDirectory> open(const std::string& database_path);
  DataDirectory(DataDirectory&& other) noexcept : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}
  DataDirectory& operator=(DataDirectory&&) = delete;
  ~DataDirectory();

  // The directory of a database file, whether it is there or not.
  static std::string of(const std::string& database_path);
  // Whether some process holds it now.
  static bool is_held(const std::string& database_path);
  const std::string& path() const { return path_; }

  // Whether it is this user's, and nobody else may write into it: for directories below /tmp.
  Status check_private() const;

  // The file in which a `--dev` node leaves the secret that it made for its run, for `tidemark token`.
  static std::string dev_secret_path(const std::string& database_path);
  Status write_dev_secret(const std::string& secret) const;
  void remove_dev_secret() const;

 private:
  DataDirectory(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}
  std::string path_;
  int lock_;
};

}  // namespace tidemark::app
