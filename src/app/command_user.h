// What the subcommands for one user have in common.
#pragma once

#include "app/command.h"

namespace tidemark::app {

// Adds `name USER [--tenant T]`, which asks the node for the operation of the same name. `revoke`: a flag of the command
// that goes into the request.
CLI::App& add_user_command(CLI::App& root, int& exit_code, const std::string& name, const std::string& description,
                           const std::shared_ptr<bool>& revoke = {});

}  // namespace tidemark::app
