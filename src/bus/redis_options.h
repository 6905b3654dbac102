// Where Redis is and how one speaks to it: what the keys redis.* say, as a value.
//
//   redis://[user:password@]host[:6379][/database]
//   rediss://…[?ca=/path/to/ca.pem]    over TLS; the certificate has to be for that host
//   redis+sentinel://[user:password@]host[:26379],host…/master-name[/database]    sentinels know where the master is
//   rediss+sentinel://…                the same over TLS; the master's certificate is for the address that they give
//
// User and password are percent-encoded, and are the master's: sentinels are asked without. No error quotes the URL.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/secret.h"
#include "core/tls_context.h"

namespace tidemark::bus {

struct HostPort {
  std::string host;  // a name or an address, without brackets
  uint16_t port = 0;

  std::string str() const;  // "host:port", "[::1]:port"
  friend bool operator==(const HostPort&, const HostPort&) = default;
};

inline constexpr size_t kSentinelsMax = 16;

struct RedisOptions {
  std::vector<HostPort> hosts;  // one: Redis itself; or the sentinels
  std::string master;           // the name that sentinels know it by; empty: there are none
  std::string user;             // empty: Redis' default user
  Secret password;              // empty: none is sent
  int database = 0;
  bool tls = false;
  std::string ca_path;  // with tls; empty: what the system believes

  int connections = 4;                       // redis.connections: for commands, of each worker
  std::chrono::milliseconds timeout{1000};   // redis.timeout: of a command from call to reply, and of connecting
  int retries = 3;                           // redis.retries: of what Redis certainly has not run
  std::chrono::milliseconds heartbeat{500};  // a silent connection is asked for a sign of life so often
};

Result<RedisOptions> parse_redis_url(std::string_view url);

// The options with what has to be read from the disk for them. Immutable; any thread.
struct RedisTarget {
  // Waits for the disk.
  static Result<std::shared_ptr<const RedisTarget>> make(RedisOptions options);

  RedisOptions options;
  std::shared_ptr<const TlsContext> tls;  // null: in the clear
};

}  // namespace tidemark::bus
