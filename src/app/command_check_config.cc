// tidemark check-config
#include <iostream>

#include "app/command.h"

namespace tidemark::app {
namespace {

int check_config(const ConfigOptions& options) {
  const auto loaded = load_config(options.sources());
  if (!loaded.ok()) {
    return complain(loaded.error());
  }
  std::cout << check_config_text(*loaded);
  return 0;
}

}  // namespace

void add_check_config(CLI::App& root, int& exit_code) {
  CLI::App& command =
      *root.add_subcommand("check-config", "Prints the effective configuration and where each value came from");
  const auto options = std::make_shared<ConfigOptions>();
  const auto reference = std::make_shared<bool>(false);
  add_config_options(command, *options);
  command.add_flag("--dev", options->dev, "With the defaults of serve --dev");
  command.add_flag("--reference", *reference, "Prints the reference of all keys as Markdown instead");
  command.callback([options, reference, &exit_code] {
    if (*reference) {
      std::cout << config_reference_markdown();
      exit_code = 0;
    } else {
      exit_code = check_config(*options);
    }
  });
}

}  // namespace tidemark::app
