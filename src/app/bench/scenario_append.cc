// Users who write to themselves, at a rate whatever the answers: how long until a message is durable.
#include "app/bench/pairs.h"

namespace tidemark::app {

Result<Report> run_append(const BenchOptions& options, const Target& target, const Accounts& accounts) {
  return run_pairs(options, target, accounts, Traffic::appends);
}

}  // namespace tidemark::app
