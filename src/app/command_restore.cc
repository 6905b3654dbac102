// tidemark restore
#include <filesystem>

#include "app/command.h"
#include "app/control_client.h"
#include "app/control_socket.h"
#include "app/restore.h"
#include "app/store.h"

namespace tidemark::app {
namespace {

struct RestoreOptions {
  ConfigOptions config;
  std::string from;
  bool force = false;
};

int restore(const RestoreOptions& options) {
  const auto loaded = load_config(options.config.sources());
  if (!loaded.ok()) {
    return complain(loaded.error());
  }
  const auto store = sqlite_path(loaded->config);
  if (!store) {
    return complain(only_for_files());
  }
  if (connect_in(DataDirectory::of(*store)).ok()) {
    return complain(fail(Code::conflict, "a node uses " + *store + ": stop it first"));
  }
  SystemClock clock;
  SystemRandom random;
  const auto restored = restore_store(options.from, *store, options.force, clock, random);
  if (!restored.ok()) {
    return complain(restored.error());
  }
  print_line("restored " + options.from + ": " + std::to_string(restored->entries) + " entries, epoch " +
             restored->epoch);
  if (!restored->kept.empty()) {
    print_line("the store that was there is kept as " + restored->kept);
  }
  return 0;
}

}  // namespace

void add_restore(CLI::App& root, int& exit_code) {
  CLI::App& command = *root.add_subcommand(
      "restore", "Makes a backup the store of a node that does not run; clients see a new epoch and start anew");
  const auto options = std::make_shared<RestoreOptions>();
  add_config_options(command, options->config);
  command.add_option("--from", options->from, "Backup to restore")->required();
  command.add_flag("--force", options->force, "Replaces the store that is there; it is kept beside the new one");
  command.callback([options, &exit_code] { exit_code = restore(*options); });
}

}  // namespace tidemark::app
