// tidemark export-user
#include "app/command_user.h"

namespace tidemark::app {

void add_export_user(CLI::App& root, int& exit_code) {
  add_user_command(root, exit_code, "export-user",
                   "Prints everything that is kept of one user as JSON, from a running node or where none runs");
}

}  // namespace tidemark::app
