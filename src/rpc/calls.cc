#include "rpc/calls.h"

#include <algorithm>

#include "core/ascii.h"
#include "core/error_table.h"
#include "core/log.h"

namespace tidemark::rpc {
namespace {

constexpr size_t kKeyCharacters = 64;
// The canonical names of the numbers (grpc/status.h).
constexpr const char* kStatusNames[] = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};

Result<std::string> token_of(const Shown& shown) {
  constexpr std::string_view kScheme = "Bearer ";
  if (shown.more_than_one) {
    return fail(Code::unauthorized, "more than one authorization");
  }
  std::string_view value = shown.authorization ? std::string_view(*shown.authorization) : std::string_view();
  if (value.size() <= kScheme.size() || !equal_ignoring_case(value.substr(0, kScheme.size()), kScheme)) {
    return fail(Code::unauthorized);
  }
  value.remove_prefix(std::min(value.find_first_not_of(' ', kScheme.size()), value.size()));
  return std::string(value);
}

}  // namespace

UserKey scope_of(const command::Caller& caller) {
  return acts_for_all(caller) ? UserKey(caller.tenant, UserId()) : caller.key();
}

Result<command::Caller> act_as(const command::Caller& caller, std::string_view field, const std::string& user) {
  if (const Status checked = check_id(field, user, false); !checked.ok()) {
    return checked.error();
  }
  command::Caller as = caller;
  if (acts_for_all(caller)) {
    as.service = true;
    as.user = UserId(user);
  } else if (!user.empty() && user != caller.user.str()) {
    return Error{Code::forbidden, "only the roles service and admin may act for another user", std::string(field), 0};
  }
  return as;
}

Method::Method(MetricRegistry& metrics, std::string name)
    : metrics_(metrics),
      name_(std::move(name)),
      seconds_(metrics.histogram("tidemark_rpc_seconds", "Time from a gRPC call to its answer, without subscriptions.",
                                 exponential_bounds(0.0005, 4, 8), {{"method", name_}})) {}

void Method::count(int status) {
  const size_t index = std::min(static_cast<size_t>(status), kStatuses - 1);
  Counter* counter = ended_[index].load(std::memory_order_acquire);
  if (counter == nullptr) {
    counter = &metrics_.counter("tidemark_rpc_calls_total", "gRPC calls answered, by method and status.",
                                {{"method", name_}, {"status", kStatusNames[index]}});
    ended_[index].store(counter, std::memory_order_release);
  }
  counter->add();
}

Calls::Calls(WorkerPool& workers, session::Sessions& sessions, const command::Table& table, const Clock& clock,
             MetricRegistry& metrics, CallOptions options)
    : workers_(workers),
      sessions_(sessions),
      table_(table),
      clock_(clock),
      metrics_(metrics),
      options_(std::move(options)),
      gate_(options_.calls) {
  metrics_.gauge_function("tidemark_rpc_calls_active", "gRPC calls under way, without subscriptions.",
                          [this] { return static_cast<double>(gate_.inside()); });
}

Calls::~Calls() { metrics_.remove_gauge_function("tidemark_rpc_calls_active"); }

Worker& Calls::next_worker() {
  const unsigned number = next_.fetch_add(1, std::memory_order_relaxed);
  return workers_.at(static_cast<int>(number % static_cast<unsigned>(workers_.size())));
}

Task<Result<Identity>> Calls::identify(const Shown* shown, const Method* method) const {
  auto identity = co_await verify(shown);
  if (!identity.ok()) {
    log_info("rpc.refused", {{"method", method->name()},
                             {"code", row_of(identity.error().code).name},
                             {"reason", identity.error().text.empty() ? "no token" : identity.error().text},
                             {"address", shown->peer.address}});
  }
  co_return identity;
}

Task<Result<Identity>> Calls::verify(const Shown* shown) const {
  Identity identity;
  command::Caller& caller = identity.caller;
  if (options_.dev && !shown->authorization && shown->peer.loopback) {
    caller.door = command::Door::rpc;
    caller.tenant = TenantId("default");
    caller.service = caller.admin = true;
  } else {
    auto token = token_of(*shown);
    if (!token.ok()) {
      co_return token.error();
    }
    const auto claims = co_await sessions_.authenticate(std::move(*token));
    if (!claims.ok()) {
      co_return claims.error();
    }
    caller = account::caller_of(*claims, command::Door::rpc);
    if (claims->service) {
      caller.user = UserId();  // the call names the user
    }
    identity.owner = UserKey(claims->tenant, claims->user);
    identity.token = account::TokenMark(*claims);
    identity.with_token = true;
  }
  caller.client_ip = shown->peer.address;
  caller.client_port = shown->peer.port;
  co_return std::move(identity);
}

Status check_id(std::string_view field, std::string_view value, bool required) {
  if (value.empty()) {
    return required ? Status(Error{Code::missing_field, "required", std::string(field), 0}) : Status();
  }
  if (!is_valid_id(value)) {
    return invalid_field(field, "an id is 1 to 128 bytes of UTF-8 without control characters");
  }
  return {};
}

Status check_object_id(std::string_view field, std::string_view value) {
  if (value.empty()) {
    return Error{Code::missing_field, "required", std::string(field), 0};
  }
  return check_text(field, value, kIdBytesMax);
}

Status check_text(std::string_view field, std::string_view value, size_t bytes_max) {
  if (value.size() > bytes_max) {
    return invalid_field(field, "longer than " + std::to_string(bytes_max) + " bytes");
  }
  return {};
}

Status check_key(std::string_view field, std::string_view value) {
  const auto characters =
      std::count_if(value.begin(), value.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
  if (characters > static_cast<std::ptrdiff_t>(kKeyCharacters)) {
    return invalid_field(field, "longer than 64 characters");
  }
  return {};
}

}  // namespace tidemark::rpc
