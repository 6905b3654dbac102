// Caller: who makes a request, as the door has established it from a verified token.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "command/rate_limit.h"
#include "core/ids.h"

namespace tidemark::command {

enum class Door : uint8_t { websocket, rest, rpc };

struct Caller {
  Door door = Door::rest;
  TenantId tenant;
  UserId user;        // empty: a service that names no user
  DeviceId device;    // of the connection; empty on REST unless the token names one
  SessionId session;  // empty: none
  bool admin = false;
  bool service = false;
  bool named_device = false;        // the client chose the device id
  uint64_t connection = 0;          // stream::OutletId of the connection, 0 on other doors
  int worker = 0;                   // index of the connection's worker
  int64_t token_issued_at = 0;      // Unix seconds; 0: the token does not say
  int64_t token_expires_at = 0;     // Unix seconds
  bool session_token = false;       // the token is one of this store's session tokens
  std::string client_ip;
  int client_port = 0;
  std::shared_ptr<UserRates> rates;  // of the user, where the door already has it

  UserKey key() const { return {tenant, user}; }
};

}  // namespace tidemark::command
