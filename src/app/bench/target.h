// The server that is measured: its address, and the users the load generator is there.
#pragma once

#include <openssl/types.h>
#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/secret.h"

namespace tidemark::app {

// What a server speaks.
enum class Dialect : uint8_t {
  tidemark,
  raw,  // nothing: what one client sends comes back to it (echo) or to all (broadcast), byte for byte
};

struct Target {
  std::string host;  // IPv6 without brackets
  uint16_t port = 80;
  std::string authority;  // as in the Host header
  std::string path;       // of the WebSocket, without a query
  sockaddr_storage address{};
  socklen_t address_size = 0;
  Dialect dialect = Dialect::tidemark;
  bool secure = false;           // wss://
  std::shared_ptr<SSL_CTX> tls;  // then: how to connect; given by whoever knows what to expect
};

// Splits ws://HOST[:PORT][/PATH] or wss://… (http:// and https:// are taken as these) and looks the host up, which may wait for a name server.
// Without a path: /api/v1/ws/connect. invalid_field for what is no such URL, unavailable for an unknown host.
Result<Target> parse_target(std::string_view url);

// The users of one run, whose names no other run has, so that nothing stored earlier is replayed to them.
//
// Immutable after it was made; any thread.
class Accounts {
 public:
  // invalid_field if the secret is shorter than the server would accept.
  static Result<Accounts> make(Secret hs256_secret, std::string tenant);

  // "bench-RUN-ROLE12"
  std::string user(std::string_view role, size_t number) const;
  // An HS256 token that is good for a day.
  std::string token(const std::string& user) const;

 private:
  Secret secret_;
  std::string tenant_;
  std::string prefix_;
};

}  // namespace tidemark::app
