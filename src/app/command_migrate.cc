// tidemark migrate
#include "app/command.h"
#include "app/control_client.h"
#include "app/store.h"

namespace tidemark::app {
namespace {

int migrate(const ConfigOptions& options) {
  const auto loaded = load_config(options.sources());
  if (!loaded.ok()) {
    return complain(loaded.error());
  }
  OperationRequest request;
  request.command = "migrate";
  return finish(ask_node_or(loaded->config, request, print_line, [&]() -> Status {
    MetricRegistry metrics;
    SystemClock clock;
    SystemRandom random;
    const auto store = open_store(loaded->config, metrics, clock, random, nullptr);
    if (!store.ok()) {
      return store.error();
    }
    store->database->close();
    print_line("schema is up to date (" + std::to_string(store->migrations) + " migrations applied)");
    return {};
  }));
}

}  // namespace

void add_migrate(CLI::App& root, int& exit_code) {
  CLI::App& command = *root.add_subcommand("migrate", "Brings the schema of the store up to date (serve does it too)");
  const auto options = std::make_shared<ConfigOptions>();
  add_config_options(command, *options);
  command.callback([options, &exit_code] { exit_code = migrate(*options); });
}

}  // namespace tidemark::app
