// tidemark serve
#include "app/command.h"
#include "app/serve.h"

namespace tidemark::app {

void add_serve(CLI::App& root, int& exit_code) {
  CLI::App& command = *root.add_subcommand("serve", "Runs a node");
  const auto options = std::make_shared<ConfigOptions>();
  add_config_options(command, *options);
  command.add_flag("--dev", options->dev,
                   "Development: loopback only, a secret for the run, register with a bare user id, /demo");
  command.callback([options, &exit_code] { exit_code = serve(options->sources()); });
}

}  // namespace tidemark::app
