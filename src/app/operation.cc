#include "app/operation.h"

#include "app/control_client.h"
#include "app/store.h"
#include "core/json.h"
#include "core/log.h"
#include "storage/sqlite_backup.h"

namespace tidemark::app {
namespace {

constexpr size_t kRequestDepth = 2;

Status migrate(const Operated& node, const OperationAnswer& answer) {
  const std::string applied = std::to_string(node.store.migrations);
  answer.print("schema is up to date (" + applied + " migrations applied" +
               (node.closed ? ")" : " when the running node started)"));
  return {};
}

Status backup(const Operated& node, const OperationRequest& request, const OperationAnswer& answer) {
  if (!request.file.starts_with('/')) {
    return invalid_field("file", "the file of a backup must be an absolute path");
  }
  const auto store = sqlite_path(node.config);
  if (!store) {
    return only_for_files();
  }
  log_info("backup.started", {{"file", request.file}});
  const Status done =
      storage::backup_sqlite(*store, request.file, request.force, answer.cancelled);
  if (!done.ok()) {
    log_warn("backup.failed", {{"file", request.file}, {"error", done.error().text}});
    return done;
  }
  log_info("backup.done", {{"file", request.file}});
  answer.print("backup written to " + request.file);
  return {};
}

using Operation = Status (*)(const Operated&, const OperationRequest&, const OperationAnswer&);

Status for_user(Operation operation, const Operated& node, const OperationRequest& request,
                const OperationAnswer& answer) {
  if (!is_valid_id(request.user.user.str()) || !is_valid_id(request.user.tenant.str())) {
    return invalid_field("user", "user and tenant are 1 to 128 bytes without control characters");
  }
  return operation(node, request, answer);
}

struct Row {
  std::string_view command;
  Operation run;
};
constexpr Row kRows[] = {
    {"migrate", [](const auto& node, const auto&, const auto& answer) { return migrate(node, answer); }},
    {"backup", backup},
    {"stats", [](const auto& node, const auto&, const auto& answer) { return print_stats(node, answer); }},
    {"export-user", [](const auto&... all) { return for_user(export_user, all...); }},
    {"erase-user", [](const auto&... all) { return for_user(erase_user, all...); }},
};

}  // namespace

std::string to_json(const OperationRequest& request) {
  std::string json;
  JsonWriter(json)
      .begin()
      .field("command", request.command)
      .field("file", request.file)
      .field("force", request.force)
      .field("revoke", request.revoke)
      .field("user", request.user.user.str())
      .field("tenant", request.user.tenant.str())
      .end();
  return json;
}

Result<OperationRequest> parse_operation(std::string_view line) {
  simdjson::dom::parser parser;
  const auto parsed = parse_json(parser, line, kRequestDepth);
  if (!parsed.ok()) {
    return parsed.error();
  }
  simdjson::dom::object object;
  if (parsed->get(object) != simdjson::SUCCESS) {
    return fail(Code::invalid_frame, "a request is a JSON object");
  }
  OperationRequest request;
  Status status;
  const auto take = [&](std::string_view name, std::string& value, bool required) {
    std::string_view text;
    const auto error = object[name].get(text);
    if (error == simdjson::NO_SUCH_FIELD ? required : error != simdjson::SUCCESS) {
      status = invalid_field(name, std::string(name) + " must be a string");
    }
    value = std::string(text);
  };
  take("command", request.command, true);
  take("file", request.file, false);
  std::string user;
  std::string tenant;
  take("user", user, false);
  take("tenant", tenant, false);
  request.user = UserKey(TenantId(tenant), UserId(user));
  for (const auto& [name, flag] : {std::pair("force", &request.force), std::pair("revoke", &request.revoke)}) {
    const auto error = object[name].get(*flag);
    if (error != simdjson::SUCCESS && error != simdjson::NO_SUCH_FIELD) {
      status = invalid_field(name, std::string(name) + " must be true or false");
    }
  }
  if (!status.ok()) {
    return status.error();
  }
  if (request.file.find('\0') != std::string::npos) {
    return invalid_field("file", "a path has no NUL");
  }
  return request;
}

Status run_operation(const Operated& node, const OperationRequest& request, const OperationAnswer& answer) {
  for (const Row& row : kRows) {
    if (row.command == request.command) {
      return row.run(node, request, answer);
    }
  }
  return fail(Code::unknown_type, "this node knows no command " + request.command.substr(0, 64) +
                                      ": node and subcommand are of different versions");
}

}  // namespace tidemark::app
