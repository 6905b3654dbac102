// tidemark: the program and its subcommands.
#include <iostream>

#include "app/bench/bench.h"
#include "app/command.h"
#include "app/version.h"

namespace tidemark::app {
namespace {

int run(int argc, char** argv) {
  CLI::App root("Tidemark: a self-hosted real-time backend");
  root.require_subcommand(0, 1);
  bool version = false;
  root.add_flag("--version", version, "Version, commit and versions of the libraries");
  int exit_code = 0;
  add_serve(root, exit_code);
  add_token(root, exit_code);
  add_check_config(root, exit_code);
  add_migrate(root, exit_code);
  add_backup(root, exit_code);
  add_restore(root, exit_code);
  add_export_user(root, exit_code);
  add_erase_user(root, exit_code);
  add_top(root, exit_code);
  add_bench(root, exit_code);
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return root.exit(error) == 0 ? 0 : kWrongUsage;
  }
  if (version) {
    std::cout << version_text();
    return 0;
  }
  if (root.get_subcommands().empty()) {
    std::cerr << root.help();
    return kWrongUsage;
  }
  return exit_code;
}

}  // namespace
}  // namespace tidemark::app

int main(int argc, char** argv) { return tidemark::app::run(argc, argv); }
