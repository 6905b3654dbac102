// What the disk under a FaultyVfs would show of one file after a power cut, while the real file has all that was written.
//
// Owner: the FaultyVfs, which calls it under its lock. Lives from the first time that the file is opened until it is
// removed or the power is cut.
#pragma once

#include <sqlite3.h>

#include <array>
#include <cstdint>
#include <map>
#include <random>
#include <string>

namespace tidemark::faults {

inline constexpr int64_t kSector = 512;
using Sector = std::array<char, kSector>;

inline bool coin(std::mt19937_64& random) { return (random() & 1) != 0; }

struct DiskFile {
  bool entry_durable = true;  // its name in the directory
  int64_t durable_size = 0;
  std::map<int64_t, Sector> before;   // sector -> synced content, for those written since the last sync
  std::map<int64_t, Sector> dropped;  // the same for those whose sync failed

  // Keeps the sectors [from, to) of the file, whose length now is `size`, if they are not kept already.
  void keep(sqlite3_file* real, int64_t from, int64_t to, int64_t size);
  void synced(int64_t size);  // what was written is durable, with this length
  void sync_failed();         // what was written counts as dropped
  std::string durable_content(const std::string& path) const;
  // The cut: makes of the real file what is left, by chance where it was not synced.
  void lose(const std::string& path, std::mt19937_64& random);
};

}  // namespace tidemark::faults
