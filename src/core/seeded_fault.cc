#include "core/seeded_fault.h"

#ifdef TIDEMARK_SEED_FAULTS

#include <atomic>
#include <cstdlib>
#include <string>

namespace tidemark {
namespace {

struct Chosen {
  std::string name;
  uint64_t every = 20;
};

Chosen chosen_fault() {
  const char* const given = std::getenv("TIDEMARK_FAULT");
  Chosen chosen;
  chosen.name = given == nullptr ? "" : given;
  if (const size_t slash = chosen.name.find('/'); slash != std::string::npos) {
    chosen.every = std::strtoull(chosen.name.c_str() + slash + 1, nullptr, 10);
    chosen.name.resize(slash);
  }
  return chosen;
}

}  // namespace

bool seeded_fault(std::string_view name) {
  static const Chosen chosen = chosen_fault();
  static std::atomic<uint64_t> asked{0};
  return name == chosen.name && (asked.fetch_add(1) + 1) % chosen.every == 0;
}

}  // namespace tidemark

#endif
