#include "disk_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace tidemark::faults {

void DiskFile::keep(sqlite3_file* real, int64_t from, int64_t to, int64_t size) {
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

void DiskFile::synced(int64_t size) {
  durable_size = size;
  before.clear();
}

void DiskFile::sync_failed() {
  dropped.merge(before);
  before.clear();
}

std::string DiskFile::durable_content(const std::string& path) const {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  std::string image = text.str();
  image.resize(static_cast<size_t>(durable_size));
  for (const auto* sectors : {&before, &dropped}) {
    for (const auto& [sector, content] : *sectors) {
      const int64_t at = sector * kSector;
      const int64_t left = std::min(kSector, durable_size - at);
      if (left > 0) {
        image.replace(static_cast<size_t>(at), static_cast<size_t>(left), content.data(), static_cast<size_t>(left));
      }
    }
  }
  return image;
}

void DiskFile::lose(const std::string& path, std::mt19937_64& random) {
  if (!entry_durable && coin(random)) {
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
  const int64_t size = shown == durable_size || coin(random) ? shown : durable_size;
  // All of it, nothing of it, or every sector for itself.
  const uint64_t manner = random() % 3;
  const auto survives = [&] { return manner == 0 || (manner == 1 && coin(random)); };
  if (::ftruncate(fd, size) == 0) {
    for (const auto* sectors : {&before, &dropped}) {
      for (const auto& [sector, content] : *sectors) {
        const int64_t at = sector * kSector;
        // A length that was cut off and came back comes back with its content.
        const bool came_back = size > shown && at + kSector > shown;
        const bool lost = sectors == &dropped || came_back || !survives();
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
