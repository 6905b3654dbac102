// tidemark erase-user
#include "app/command_user.h"

namespace tidemark::app {

void add_erase_user(CLI::App& root, int& exit_code) {
  const auto revoke = std::make_shared<bool>(false);
  CLI::App& command = add_user_command(root, exit_code, "erase-user",
                   "Removes one user: sessions, devices, memberships, own events, and the text of all messages. There "
                   "is no way back but a backup", revoke);
  command.add_flag("--revoke", *revoke,
                   "Also refuses every token issued to the user before now; keeps the id until those have expired");
}

}  // namespace tidemark::app
