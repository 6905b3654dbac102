// Pairs of users, one writes to the other: how fast a message is acknowledged and delivered, or a signal relayed.
#include "app/bench/pairs.h"

namespace tidemark::app {

Result<Report> run_direct(const BenchOptions& options, const Target& target, const Accounts& accounts) {
  const Traffic traffic = target.dialect == Dialect::raw ? Traffic::echo
                          : options.ephemeral            ? Traffic::typing
                                                         : Traffic::messages;
  return run_pairs(options, target, accounts, traffic);
}

}  // namespace tidemark::app
