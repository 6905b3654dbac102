// tidemark erase-user
#include "app/command_user.h"

namespace tidemark::app {

void add_erase_user(CLI::App& root, int& exit_code) {
  add_user_command(root, exit_code, "erase-user",
                   "Removes one user: sessions, devices, memberships, own events, and the text of all messages. There "
                   "is no way back but a backup");
}

}  // namespace tidemark::app
