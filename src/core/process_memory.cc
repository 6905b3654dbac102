#include "core/process_memory.h"

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <string>

namespace tidemark {
namespace {

size_t page_bytes() { return static_cast<size_t>(::sysconf(_SC_PAGESIZE)); }

// The number in a file of the control group; none where there is no file or no limit ("max").
size_t number_in(const std::string& path) {
  std::ifstream file(path);
  size_t number = 0;
  return file >> number ? number : SIZE_MAX;
}

// Version 2: every group up to the root may have a limit. In a container the root is the container's own.
size_t group_limit() {
  size_t limit = std::min(number_in("/sys/fs/cgroup/memory.max"),
                          number_in("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    if (!line.starts_with("0::/")) {
      continue;
    }
    for (std::string path = line.substr(3); path.size() > 1; path.resize(path.rfind('/'))) {
      limit = std::min(limit, number_in("/sys/fs/cgroup" + path + "/memory.max"));
    }
  }
  return limit;
}

}  // namespace

size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  size_t whole = 0;
  size_t resident = 0;
  return file >> whole >> resident ? resident * page_bytes() : 0;
}

size_t memory_of_process() {
  const size_t machine = static_cast<size_t>(::sysconf(_SC_PHYS_PAGES)) * page_bytes();
  return std::min(machine, group_limit());
}

}  // namespace tidemark
