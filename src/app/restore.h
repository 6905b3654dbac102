// Putting a backup in the place of a store.
#pragma once

#include <string>

#include "core/random.h"
#include "core/clock.h"
#include "core/result.h"

namespace tidemark::app {

struct Restored {
  int64_t entries = 0;
  std::string epoch;
  std::string kept;  // where the store that was there is now; empty: there was none
};

// Checks the backup, gives a copy of it a new epoch and no cursors, and makes it the store at `store`. Takes the lock of
// the data directory; `unavailable` while somebody else has it. A store that is there is refused unless `force`, and
// then kept beside the new one.
// Promises: a crash at any moment leaves the old store complete, or the new one; never a mixture.
Result<Restored> restore_store(const std::string& backup, const std::string& store, bool force, const Clock& clock,
                               Random& random);

}  // namespace tidemark::app
