// The subcommands of `tidemark`: each file command_*.cc adds one to the command line.
//
// When the command line names one, parsing runs it, and it sets `exit_code`, which lives as long as `root`.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "app/config.h"
#include "core/result.h"

namespace tidemark::app {

inline constexpr int kFailed = 1;
inline constexpr int kWrongUsage = 2;

void add_serve(CLI::App& root, int& exit_code);
void add_token(CLI::App& root, int& exit_code);
void add_check_config(CLI::App& root, int& exit_code);
void add_migrate(CLI::App& root, int& exit_code);
void add_backup(CLI::App& root, int& exit_code);
void add_restore(CLI::App& root, int& exit_code);
void add_export_user(CLI::App& root, int& exit_code);
void add_erase_user(CLI::App& root, int& exit_code);
void add_top(CLI::App& root, int& exit_code);

// Where a subcommand takes its configuration from.
struct ConfigOptions {
  std::string file;
  std::vector<std::string> set;
  bool dev = false;

  ConfigSources sources() const;
};
void add_config_options(CLI::App& command, ConfigOptions& options);

// Writes the error for people to stderr; returns the exit code.
int complain(const Error& error, int exit_code = kFailed);
// 0, or complains.
int finish(const Status& status);
// One line to stdout; false when nobody reads it.
bool print_line(std::string_view line);

}  // namespace tidemark::app
