#include "http/rest.h"

#include <algorithm>

#include "core/ascii.h"
#include "core/error_table.h"
#include "core/json.h"
#include "core/log.h"
#include "http/rest_fields.h"
#include "http/target.h"
#include "session/session.h"

namespace tidemark::http {

namespace beast = boost::beast;
using beast::http::field;
using command::Caller;

namespace {

constexpr std::string_view kActFor = "Tidemark-User";

// The token of the Authorization header, else of the query; nothing if there is none.
Result<std::string> token_of(const HttpRequest& request) {
  const auto [first, last] = request.equal_range(field::authorization);
  if (std::distance(first, last) > 1) {
    return fail(Code::unauthorized, "more than one Authorization header");
  }
  if (first != last) {
    std::string_view value = first->value();
    constexpr std::string_view kScheme = "Bearer ";
    if (value.size() > kScheme.size() && equal_ignoring_case(value.substr(0, kScheme.size()), kScheme)) {
      value.remove_prefix(std::min(value.find_first_not_of(' ', kScheme.size()), value.size()));
      return std::string(value);
    }
  }
  if (const auto parameters = query_parameters(split_target(request.target()).query)) {
    for (const auto& [name, value] : *parameters) {
      if (name == "token") {
        return value;
      }
    }
  }
  return fail(Code::unauthorized);
}

// Whom a service acts for. Empty: it named nobody.
Result<UserId> named_user(const HttpRequest& request) {
  const auto [first, last] = request.equal_range(kActFor);
  if (first == last) {
    return UserId();
  }
  const std::string_view value = first->value();
  if (std::distance(first, last) > 1 || !is_valid_id(value)) {
    return invalid_field(kActFor, "one user id is expected: 1 to 128 bytes of UTF-8 without control characters");
  }
  return UserId(std::string(value));
}

}  // namespace

Task<Result<Caller>> Rest::identify(const RestCall* call) const {
  const auto token = token_of(call->request);
  if (dev_ && !token.ok() && call->request.find(field::authorization) == call->request.end()) {
    auto named = named_user(call->request);
    if (named.ok() && !named->empty()) {
      Caller caller;
      caller.door = command::Door::rest;
      caller.tenant = TenantId("default");
      caller.user = std::move(*named);
      caller.client_ip = call->client_ip;
      caller.client_port = call->client_port;
      co_return caller;
    }
  }
  if (!token.ok()) {
    co_return token.error();
  }
  auto claims = co_await sessions_.authenticate(*token);
  if (!claims.ok()) {
    co_return claims.error();
  }
  auto named = named_user(call->request);
  const bool names = call->request.find(kActFor) != call->request.end();
  if (names && !claims->service) {
    co_return fail(Code::forbidden, "only the role service may act for another user");
  }
  if (!named.ok()) {
    co_return named.error();
  }
  Caller caller = account::caller_of(*claims, command::Door::rest);
  if (claims->service) {
    caller.user = std::move(*named);
  }
  caller.client_ip = call->client_ip;
  caller.client_port = call->client_port;
  co_return caller;
}

Task<Response> Rest::serve(RestCall call) const {
  const HttpRequest& request = call.request;
  const Target target = split_target(request.target());
  std::string_view method = request.method_string();
  if (method == "HEAD") {
    method = "GET";
  }
  const auto match = table_.by_path(method, target.path.substr(kPrefix.size()));
  if (match.row == nullptr) {
    if (match.allowed.empty()) {
      co_return failure(fail(Code::not_found, "no such path"));
    }
    Response response = failure(fail(Code::method_not_allowed));
    const bool readable = match.allowed.find("GET") != std::string::npos;
    response.headers.emplace_back("Allow", match.allowed + (readable ? ", HEAD" : ""));
    co_return response;
  }
  const std::string address = call.client_ip;
  auto caller = co_await identify(&call);
  if (!caller.ok()) {
    log_info("http.refused", {{"method", match.row->method},
                              {"path", match.row->path},
                              {"code", row_of(caller.error().code).name},
                              {"reason", caller.error().text.empty() ? "no token" : caller.error().text},
                              {"address", address}});
    co_return failure(caller.error());
  }
  if (const Status permitted = command::Table::permits(*match.row, *caller); !permitted.ok()) {
    log_info("http.denied", {{"method", match.row->method},
                             {"path", match.row->path},
                             {"code", row_of(permitted.error().code).name},
                             {"user", caller->user.str()},
                             {"tenant", caller->tenant.str()},
                             {"address", caller->client_ip}});
    co_return failure(permitted.error());
  }
  auto fields = read_fields(*match.row, match.path_values, target.query, request.body());
  if (!fields.ok()) {
    co_return failure(fields.error());
  }
  const auto reply = co_await table_.run(*match.row, std::move(*caller), std::move(*fields));
  if (!reply.ok()) {
    co_return failure(reply.error());
  }
  co_return success(*reply);
}

}  // namespace tidemark::http
