#include "app/command.h"

#include <iostream>

#include "core/error_table.h"

namespace tidemark::app {

ConfigSources ConfigOptions::sources() const {
  ConfigSources sources;
  if (!file.empty()) {
    sources.file = file;
  }
  sources.environment = process_environment();
  sources.set = set;
  sources.dev = dev;
  return sources;
}

void add_config_options(CLI::App& command, ConfigOptions& options) {
  command.add_option("--config", options.file, "YAML file with the configuration")->check(CLI::ExistingFile);
  command.add_option("--set", options.set, "One configuration value, key=value; may be repeated")->take_all();
}

int complain(const Error& error, int exit_code) {
  std::cerr << "tidemark: " << (error.text.empty() ? row_of(error.code).text : std::string_view(error.text)) << '\n';
  return exit_code;
}

int finish(const Status& status) { return status.ok() ? 0 : complain(status.error()); }

bool print_line(std::string_view line) {
  std::cout << line << '\n' << std::flush;
  return std::cout.good();
}

}  // namespace tidemark::app
