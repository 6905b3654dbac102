// What the subcommands for one user have in common.
#pragma once

#include "app/command.h"

namespace tidemark::app {

// Adds `name USER [--tenant T]`, which asks the node for the operation of the same name.
void add_user_command(CLI::App& root, int& exit_code, const std::string& name, const std::string& description);

}  // namespace tidemark::app
