#include "core/error_table.h"

namespace tidemark {
namespace {

constexpr ErrorRow kTable[] = {
    {Code::invalid_json, "invalid_json", 400, RpcStatus::invalid_argument, true, false, "this is not valid JSON"},
    {Code::invalid_frame, "invalid_frame", 400, RpcStatus::invalid_argument, true, false, "a JSON object is expected"},
    {Code::unknown_type, "unknown_type", 400, RpcStatus::invalid_argument, true, false, "no such type"},
    {Code::missing_field, "missing_field", 400, RpcStatus::invalid_argument, true, false, "a required field is missing"},
    {Code::invalid_field, "invalid_field", 400, RpcStatus::invalid_argument, true, false, "a field has a wrong value"},
    {Code::unauthorized, "unauthorized", 401, RpcStatus::unauthenticated, false, false, "a valid token is required"},
    {Code::not_registered, "not_registered", 401, RpcStatus::unauthenticated, false, false, "register first"},
    {Code::forbidden, "forbidden", 403, RpcStatus::permission_denied, false, false, "not allowed"},
    {Code::not_found, "not_found", 404, RpcStatus::not_found, false, false, "not found"},
    {Code::not_a_member, "not_a_member", 404, RpcStatus::not_found, false, false, "this user is not a member"},
    {Code::method_not_allowed, "method_not_allowed", 405, RpcStatus::unimplemented, false, false, "method not allowed"},
    {Code::conflict, "conflict", 409, RpcStatus::already_exists, false, false, "conflicts with what exists"},
    {Code::locked, "locked", 409, RpcStatus::failed_precondition, false, true, "locked by another session"},
    {Code::stale_lock, "stale_lock", 409, RpcStatus::failed_precondition, false, false, "the lock is no longer held"},
    {Code::stale_version, "stale_version", 409, RpcStatus::failed_precondition, false, false, "the version is too old"},
    {Code::gone, "gone", 410, RpcStatus::failed_precondition, false, false, "no longer there"},
    {Code::too_large, "too_large", 413, RpcStatus::resource_exhausted, false, false, "too large"},
    {Code::rate_limited, "rate_limited", 429, RpcStatus::resource_exhausted, false, true, "too fast"},
    {Code::unavailable, "unavailable", 503, RpcStatus::unavailable, false, true,
     "temporarily unavailable; it may have been stored: retry with the same id"},
    {Code::internal, "internal", 500, RpcStatus::internal, false, false, "internal error"},
};
static_assert(std::size(kTable) == static_cast<size_t>(Code::internal) + 1);

}  // namespace

const ErrorRow& row_of(Code code) { return kTable[static_cast<size_t>(code)]; }

std::span<const ErrorRow> error_table() { return kTable; }

std::string_view reason_of(CloseCode code) {
  switch (code) {
    case CloseCode::normal: return "";
    case CloseCode::going_away: return "going away";
    case CloseCode::protocol_error: return "protocol error";
    case CloseCode::unsupported_data: return "text frames only";
    case CloseCode::no_status:
    case CloseCode::abnormal: return "";
    case CloseCode::invalid_payload: return "invalid UTF-8";
    case CloseCode::policy_violation: return "too many fragments";
    case CloseCode::message_too_big: return "message too big";
    case CloseCode::bad_frames: return "too many bad frames";
    case CloseCode::auth_failed: return "authentication failed";
    case CloseCode::register_timeout: return "not registered in time";
    case CloseCode::forbidden: return "forbidden";
    case CloseCode::replaced: return "replaced by a newer connection of this device";
    case CloseCode::session_closed: return "session closed or revoked";
    case CloseCode::too_many_connections: return "too many connections of this user";
    case CloseCode::overloaded: return "overloaded";
    case CloseCode::slow_consumer: return "too slow";
    case CloseCode::rate_limited: return "rate limited";
    case CloseCode::storage_unavailable: return "storage unavailable";
    case CloseCode::token_expired: return "token expired";
    case CloseCode::draining: return "draining";
    case CloseCode::heartbeat_lost: return "heartbeat lost";
  }
  return "";
}

}  // namespace tidemark
