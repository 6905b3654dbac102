// Run: one seed from its first choice to its verdict.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tidemark::simulation {

struct RunOptions {
  uint64_t seed = 1;
  int steps = 3000;     // choices before the calm end
  bool print = false;   // everything that is said, to stderr
  std::string directory;  // for the files; on a memory file system it is fast
};

struct Outcome {
  std::vector<std::string> violations;
  uint64_t fingerprint = 0;  // of everything that was said; the same for the same seed and build
  size_t entries = 0;        // in the log at the end
  size_t seen = 0;           // entries that devices got
  int crashes = 0;
};

Outcome run(const RunOptions& options);

}  // namespace tidemark::simulation
