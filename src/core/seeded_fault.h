// Seeded faults: places where a test-only build breaks a promise on purpose, to show that the checks see it.
//
// TIDEMARK_FAULT(name) is `false` in every build but the targets with TIDEMARK_SEED_FAULTS (CMakeLists.txt), so nothing of
// it is in the program. There the environment chooses one: TIDEMARK_FAULT=name, or name/N: every Nth time it is asked
// for (without N: 20).
#pragma once

#ifdef TIDEMARK_SEED_FAULTS

#include <string_view>

namespace tidemark {

// Any thread. Counts the askings of the chosen fault; true every Nth time.
bool seeded_fault(std::string_view name);

}  // namespace tidemark

#define TIDEMARK_FAULT(name) ::tidemark::seeded_fault(#name)

#else

#define TIDEMARK_FAULT(name) false

#endif
