// tidemark: the program and its subcommands.
#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <sstream>

#include "account/token.h"
#include "app/bench/bench.h"
#include "app/config.h"
#include "app/config_value.h"
#include "app/serve.h"
#include "app/store.h"
#include "app/version.h"
#include "core/error_table.h"
#include "core/random.h"

namespace tidemark::app {
namespace {

constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;

int complain(const Error& error, int exit_code = kFailed) {
  std::cerr << "tidemark: " << (error.text.empty() ? row_of(error.code).text : std::string_view(error.text)) << '\n';
  return exit_code;
}

struct Options {
  std::string config_file;
  std::vector<std::string> set;
  bool dev = false;

  ConfigSources sources() const {
    ConfigSources sources;
    if (!config_file.empty()) {
      sources.file = config_file;
    }
    sources.environment = process_environment();
    sources.set = set;
    sources.dev = dev;
    return sources;
  }
};

void add_config_options(CLI::App& command, Options& options) {
  command.add_option("--config", options.config_file, "YAML file with the configuration")->check(CLI::ExistingFile);
  command.add_option("--set", options.set, "One configuration value, key=value; may be repeated")->take_all();
}

struct TokenOptions {
  std::string user;
  std::string tenant = "default";
  std::string ttl = "1h";
  std::vector<std::string> roles;
  std::string device;
};

int mint(const Options& options, const TokenOptions& token) {
  const auto loaded = load_config(options.sources());
  if (!loaded.ok()) {
    return complain(loaded.error());
  }
  Secret secret = loaded->config.auth.hs256_secret;
  if (secret.empty()) {
    if (const auto path = sqlite_path(loaded->config)) {
      std::ifstream file(DataDirectory::dev_secret_path(*path), std::ios::binary);
      std::ostringstream text;
      text << file.rdbuf();
      secret = Secret(text.str());
    }
  }
  if (secret.reveal().size() < account::kSecretBytesMin) {
    return complain(fail(Code::invalid_field,
                         "no secret to sign with: set auth.hs256_secret (at least 32 bytes), or run this in the "
                         "directory of a running `tidemark serve --dev`"));
  }
  const auto ttl = parse_duration(token.ttl);
  if (!ttl || ttl->count() < 1000) {
    return complain(invalid_field("ttl", "--ttl: a duration like 90s, 1h or 30d is expected"), kWrongUsage);
  }
  if (!is_valid_id(token.user) || !is_valid_id(token.tenant) || (!token.device.empty() && !is_valid_id(token.device))) {
    return complain(fail(Code::invalid_field, "user, tenant and device are 1 to 128 bytes without control characters"),
                    kWrongUsage);
  }
  account::MintRequest request;
  request.user = UserId(token.user);
  request.tenant = TenantId(token.tenant);
  request.roles = token.roles;
  request.device = DeviceId(token.device);
  request.issuer = loaded->config.auth.issuer;
  request.audience = loaded->config.auth.audience;
  request.issued_at = SystemClock().unix_ms() / 1000;
  request.expires_at = request.issued_at + ttl->count() / 1000;
  std::cout << account::mint_token(request, secret) << '\n';
  return 0;
}

int check_config(const Options& options) {
  const auto loaded = load_config(options.sources());
  if (!loaded.ok()) {
    return complain(loaded.error());
  }
  std::cout << check_config_text(*loaded);
  return 0;
}

int migrate(const Options& options) {
  const auto loaded = load_config(options.sources());
  if (!loaded.ok()) {
    return complain(loaded.error());
  }
  MetricRegistry metrics;
  SystemClock clock;
  SystemRandom random;
  const auto store = open_store(loaded->config, metrics, clock, random, nullptr);
  if (!store.ok()) {
    return complain(store.error());
  }
  std::cout << "schema is up to date (" << store->migrations << " migrations applied)\n";
  store->database->close();
  return 0;
}

int run(int argc, char** argv) {
  CLI::App root("Tidemark: a self-hosted real-time backend");
  root.require_subcommand(0, 1);
  bool version = false;
  root.add_flag("--version", version, "Version, commit and versions of the libraries");

  Options options;
  int exit_code = 0;
  CLI::App* const serve_command = root.add_subcommand("serve", "Runs a node");
  add_config_options(*serve_command, options);
  serve_command->add_flag("--dev", options.dev,
                          "Development: loopback only, a secret for the run, register with a bare user id, /demo");

  TokenOptions token;
  CLI::App* const token_command = root.add_subcommand("token", "Mints a JWT with the configured secret");
  add_config_options(*token_command, options);
  token_command->add_option("--user", token.user, "User id (claim sub)")->required();
  token_command->add_option("--tenant", token.tenant, "Tenant")->capture_default_str();
  token_command->add_option("--ttl", token.ttl, "How long it is good, a duration")->capture_default_str();
  token_command->add_option("--role", token.roles, "Role: admin or service; may be repeated")
      ->check(CLI::IsMember({"admin", "service"}));
  token_command->add_option("--device", token.device, "Device id (claim device_id)");

  CLI::App* const check_command =
      root.add_subcommand("check-config", "Prints the effective configuration and where each value came from");
  add_config_options(*check_command, options);
  check_command->add_flag("--dev", options.dev, "With the defaults of serve --dev");
  bool reference = false;
  check_command->add_flag("--reference", reference, "Prints the reference of all keys as Markdown instead");

  CLI::App* const migrate_command = root.add_subcommand("migrate", "Brings the schema of the store up to date");
  add_config_options(*migrate_command, options);
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
  if (serve_command->parsed()) {
    return serve(options.sources());
  }
  if (token_command->parsed()) {
    return mint(options, token);
  }
  if (check_command->parsed()) {
    if (reference) {
      std::cout << config_reference_markdown();
      return 0;
    }
    return check_config(options);
  }
  if (migrate_command->parsed()) {
    return migrate(options);
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
