// tidemark backup
#include <filesystem>

#include "app/command.h"
#include "app/control_client.h"
#include "app/store.h"
#include "storage/sqlite_backup.h"

namespace tidemark::app {
namespace {

struct BackupOptions {
  ConfigOptions config;
  std::string to;
  bool force = false;
};

// Without a node: the file is copied as it is, of whatever version.
Status backup_here(const std::string& store, const OperationRequest& request) {
  std::error_code error;
  if (!std::filesystem::exists(store, error)) {
    return no_store_at(store);
  }
  const auto directory = DataDirectory::open(store);
  if (!directory.ok()) {
    return directory.error();
  }
  const Status done = storage::backup_sqlite(store, request.file, request.force, [] { return false; });
  if (done.ok()) {
    print_line("backup written to " + request.file);
  }
  return done;
}

int backup(const BackupOptions& options) {
  const auto loaded = load_config(options.config.sources());
  if (!loaded.ok()) {
    return complain(loaded.error());
  }
  if (!sqlite_path(loaded->config)) {
    return complain(only_for_files());
  }
  OperationRequest request;
  request.command = "backup";
  request.file = std::filesystem::absolute(options.to).lexically_normal().string();
  request.force = options.force;
  return finish(ask_node_or(loaded->config, request, print_line,
                            [&] { return backup_here(*sqlite_path(loaded->config), request); }));
}

}  // namespace

void add_backup(CLI::App& root, int& exit_code) {
  CLI::App& command = *root.add_subcommand(
      "backup", "Copies the store into one file, from a running node while traffic goes on, or where none runs");
  const auto options = std::make_shared<BackupOptions>();
  add_config_options(command, options->config);
  command.add_option("--to", options->to, "File to write, mode 0600; the node's user must be allowed to")->required();
  command.add_flag("--force", options->force, "Replaces the file if it is there");
  command.callback([options, &exit_code] { exit_code = backup(*options); });
}

}  // namespace tidemark::app
