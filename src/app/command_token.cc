// tidemark token
#include <fstream>
#include <iostream>
#include <sstream>

#include "account/token.h"
#include "app/command.h"
#include "app/config_value.h"
#include "app/store.h"

namespace tidemark::app {
namespace {

struct TokenOptions {
  ConfigOptions config;
  std::string user;
  std::string tenant = "default";
  std::string ttl = "1h";
  std::vector<std::string> roles;
  std::string device;
};

int mint(const TokenOptions& token) {
  const auto loaded = load_config(token.config.sources());
  if (!loaded.ok()) {
    return complain(loaded.error());
  }
  Secret secret = loaded->config.auth.hs256_secret;
  if (secret.empty()) {
    if (const auto path = directory_anchor(loaded->config)) {
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

}  // namespace

void add_token(CLI::App& root, int& exit_code) {
  CLI::App& command = *root.add_subcommand("token", "Mints a JWT with the configured secret");
  const auto token = std::make_shared<TokenOptions>();
  add_config_options(command, token->config);
  command.add_option("--user", token->user, "User id (claim sub)")->required();
  command.add_option("--tenant", token->tenant, "Tenant")->capture_default_str();
  command.add_option("--ttl", token->ttl, "How long it is good, a duration")->capture_default_str();
  command.add_option("--role", token->roles, "Role: admin or service; may be repeated")
      ->check(CLI::IsMember({"admin", "service"}));
  command.add_option("--device", token->device, "Device id (claim device_id)");
  command.callback([token, &exit_code] { exit_code = mint(*token); });
}

}  // namespace tidemark::app
