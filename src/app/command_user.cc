#include "app/command_user.h"

#include "app/control_client.h"

namespace tidemark::app {
namespace {

struct UserOptions {
  ConfigOptions config;
  std::string user;
  std::string tenant = "default";
};

int run(const std::string& name, const UserOptions& options, bool revoke) {
  if (!is_valid_id(options.user) || !is_valid_id(options.tenant)) {
    return complain(fail(Code::invalid_field, "user and tenant are 1 to 128 bytes without control characters"),
                    kWrongUsage);
  }
  const auto loaded = load_config(options.config.sources());
  if (!loaded.ok()) {
    return complain(loaded.error());
  }
  OperationRequest request;
  request.command = name;
  request.revoke = revoke;
  request.user = UserKey(TenantId(options.tenant), UserId(options.user));
  return finish(ask_node_or_do(loaded->config, request, print_line));
}

}  // namespace

CLI::App& add_user_command(CLI::App& root, int& exit_code, const std::string& name, const std::string& description,
                           const std::shared_ptr<bool>& revoke) {
  CLI::App& command = *root.add_subcommand(name, description);
  const auto options = std::make_shared<UserOptions>();
  add_config_options(command, options->config);
  command.add_option("user", options->user, "User id")->required();
  command.add_option("--tenant", options->tenant, "Tenant")->capture_default_str();
  command.callback([name, options, revoke, &exit_code] { exit_code = run(name, *options, revoke && *revoke); });
  return command;
}

}  // namespace tidemark::app
