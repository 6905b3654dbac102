// The subcommand's end: asks the running node, or does it itself where none runs.
#pragma once

#include "app/config.h"
#include "app/operation.h"

namespace tidemark::app {

using Print = std::function<bool(std::string_view line)>;

// Sends `request` to the node that uses the configured store and prints its output line by line; where no node runs,
// calls `here` and returns what it says. Waits some seconds for a node that is just starting or ending. The error says
// what to do.
Status ask_node_or(const Config& config, const OperationRequest& request, const Print& print,
                   const std::function<Status()>& here);
// Where no node runs: opens the store in this process, without doors, and does it there.
Status ask_node_or_do(const Config& config, const OperationRequest& request, const Print& print);
// Only a running node: not_found when there is none.
Status ask_node(const Config& config, const OperationRequest& request, const Print& print);

Error no_lasting_store();
Error only_for_files();  // backup and restore: PostgreSQL has its own
Error no_store_at(const std::string& path);

}  // namespace tidemark::app
