// The command table of a node, with the rows of every room, for targets that check what clients send.
#pragma once

#include "command/table.h"

namespace tidemark::fuzz {

// Its handlers cannot be run: the node is never started. Made at the first call.
const command::Table& command_table();

}  // namespace tidemark::fuzz
