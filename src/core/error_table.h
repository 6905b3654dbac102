// The one table of errors: how a code is spelled on every door and whether a retry can help.
//
// A new code is a new row here (and a line in docs/errors.md, which a test compares with this table).
#pragma once

#include <span>
#include <string_view>

#include "core/result.h"

namespace tidemark {

// Canonical gRPC status numbers (grpc/status.h), kept here so that the ground floor needs no gRPC.
enum class RpcStatus : int {
  invalid_argument = 3,
  not_found = 5,
  already_exists = 6,
  permission_denied = 7,
  resource_exhausted = 8,
  failed_precondition = 9,
  unimplemented = 12,
  internal = 13,
  unavailable = 14,
  unauthenticated = 16,
};

struct ErrorRow {
  Code code;
  std::string_view name;  // on the wire
  int http_status;
  RpcStatus rpc_status;
  bool counts_as_bad_frame;  // twenty of these within ten seconds close a connection with 4000
  bool retryable;            // the same request may succeed later
  std::string_view text;     // used where an Error carries no text of its own
};

const ErrorRow& row_of(Code code);
std::span<const ErrorRow> error_table();

// Close codes of the contract; the range tells the client what to do (docs/protocol.md).
enum class CloseCode : uint16_t {
  normal = 1000,
  going_away = 1001,
  protocol_error = 1002,
  unsupported_data = 1003,
  no_status = 1005,  // never sent
  abnormal = 1006,   // never sent: the connection was lost without a close frame
  invalid_payload = 1007,
  policy_violation = 1008,
  message_too_big = 1009,
  bad_frames = 4000,
  auth_failed = 4001,
  register_timeout = 4002,
  forbidden = 4003,
  replaced = 4005,
  session_closed = 4006,
  too_many_connections = 4007,
  overloaded = 4100,
  slow_consumer = 4101,
  rate_limited = 4102,
  storage_unavailable = 4103,
  token_expired = 4104,
  draining = 4200,
  heartbeat_lost = 4202,
};

// The reason that is sent beside a close code, e.g. "replaced".
std::string_view reason_of(CloseCode code);

// Whether `bye` tells the client to connect again: true for 41xx and 42xx.
constexpr bool reconnects(CloseCode code) { return static_cast<int>(code) >= 4100; }

}  // namespace tidemark
