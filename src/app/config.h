// Configuration: defaults < YAML file < environment < --set, checked key by key.
//
// config_table.cc has one row per key; everything here (parsing, ranges, `_file`, errors, the reference in
// docs/operating.md, check-config) follows from it. An unknown key is an error that names the nearest known one, and so
// is a key whose feature this version does not have.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/log.h"
#include "core/result.h"
#include "core/secret.h"

namespace tidemark::app {

using Milliseconds = std::chrono::milliseconds;

struct Endpoint {
  std::string host;   // a name or address; IPv6 without brackets
  uint16_t port = 0;  // 0: the system chooses
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};
using Listener = std::optional<Endpoint>;  // none: off

enum class Synchronous : uint8_t { full, normal };
enum class Compression : uint8_t { off, deflate };
enum class ConflictPolicy : uint8_t { lww, merge, manual };
enum class PresenceVisibility : uint8_t { tenant, contacts };

// Sizes are bytes, the rest of the size_t are counts. The defaults are the table's; a Config made by hand holds zeros.
struct Config {
  struct Http {
    Listener listen;
    std::vector<std::string> allowed_origins;  // empty: same host only
    std::string tls_cert;                      // paths; both or none
    std::string tls_key;
    Compression compression = Compression::off;
    std::vector<std::string> trusted_proxies;  // addresses and networks
  };
  struct Gateway {
    Listener metrics_listen;
  };
  struct Session {
    Listener grpc_listen;
    Listener metrics_listen;
    Milliseconds ttl{};
    Milliseconds ttl_max{};
    Milliseconds idle_after{};
  };
  struct StateSync {
    Listener grpc_listen;
    Listener metrics_listen;
    Milliseconds lock_ttl{};
    ConflictPolicy conflict_policy = ConflictPolicy::merge;
    size_t compact_after = 0;   // operations
    size_t snapshot_every = 0;  // operations
    size_t content = 0;         // bytes
    Milliseconds bookmark{};
  };
  struct Grpc {
    std::string tls_cert;  // paths; both or none
    std::string tls_key;
    std::string tls_client_ca;  // empty: clients need no certificate
    bool insecure = false;      // may listen beyond loopback in the clear
    bool reflection = true;
    size_t calls = 0;
    size_t subscriptions = 0;
  };
  struct Storage {
    std::string url;  // sqlite:PATH, postgresql://… or memory:
    size_t pool = 0;  // connections to PostgreSQL
    Milliseconds statement_timeout{0};
    size_t readers = 0;
    Synchronous synchronous = Synchronous::full;
  };
  struct Auth {
    Secret hs256_secret;           // empty: none
    Secret hs256_secret_previous;  // empty: none
    std::string jwks_file;         // this and the next two, empty: none
    std::string issuer;
    std::string audience;
    std::optional<Milliseconds> token_ttl_max;  // none: not checked
  };
  struct Node {
    std::string id;
    size_t workers = 0;
  };
  struct Limits {
    size_t frame = 0;  // bytes
    size_t fragments = 0;
    size_t depth = 0;
    size_t content = 0;  // bytes
    size_t data = 0;     // bytes
    size_t queue = 0;    // bytes
    size_t queue_total = 0;  // bytes
    size_t memory = 0;       // bytes
    size_t inflight = 0;
    Milliseconds write_stall{};
    size_t messages_per_second = 0;
    size_t messages_burst = 0;
    size_t operations_per_second = 0;
    size_t operations_burst = 0;
    size_t signals_per_second = 0;
    size_t signals_burst = 0;
    size_t queries_per_second = 0;
    size_t queries_burst = 0;
    size_t creations_per_minute = 0;
    size_t creations_burst = 0;
    size_t upkeep_per_second = 0;
    size_t upkeep_burst = 0;
    size_t inbound_per_second = 0;  // bytes
    size_t inbound_burst = 0;       // bytes
    size_t streams = 0;
    size_t members = 0;
    size_t receipt_members = 0;
    size_t watches = 0;
    size_t revocations = 0;
    size_t connections = 0;
    size_t connections_per_user = 0;
    size_t connections_per_ip = 0;     // 0: any number
    size_t handshakes_per_second = 0;  // 0: any number
    size_t openings = 0;
    size_t openings_waiting = 0;
    Milliseconds opening_wait{};
    size_t replay_entries = 0;
    Milliseconds register_timeout{};
    Milliseconds handshake_timeout{};
    size_t http_body = 0;  // bytes
  };
  struct Heartbeat {
    Milliseconds interval{};
    Milliseconds timeout{};
  };
  struct Presence {
    Milliseconds grace{};
    PresenceVisibility visibility = PresenceVisibility::tenant;
  };
  struct Cursors {
    Milliseconds store_every{};
  };
  struct Retention {
    std::optional<Milliseconds> messages;  // none: forever
    Milliseconds sync{};
    Milliseconds devices{};
    Milliseconds audit{};
  };
  struct Drain {
    Milliseconds grace{};
    size_t connections_per_second = 0;
  };
  struct Log {
    LogLevel level = LogLevel::info;
    LogFormat format = LogFormat::text;
  };

  Http http;
  Gateway gateway;
  Session session;
  StateSync statesync;
  Grpc grpc;
  Storage storage;
  Auth auth;
  Node node;
  Limits limits;
  Heartbeat heartbeat;
  Presence presence;
  Cursors cursors;
  Retention retention;
  Drain drain;
  Log log;
};

struct ConfigSources {
  std::optional<std::string> file;                 // path of a YAML file
  std::map<std::string, std::string> environment;  // names that do not start with TIDEMARK_ are ignored
  std::vector<std::string> set;                    // key=value; the last one of a key counts
  bool dev = false;                                // --dev: other defaults for some keys
};

// The TIDEMARK_… variables of this process. Call it before threads start.
std::map<std::string, std::string> process_environment();

// Whether nobody but this machine reaches it.
bool is_loopback(const Endpoint& endpoint);

// One key as it is in effect.
struct ConfigEntry {
  std::string key;
  std::string value;   // canonical text; [hidden] for a secret
  std::string origin;  // default | dev | file PATH:LINE | environment NAME | --set; then ", read from PATH" for `_file`
};

struct LoadedConfig {
  Config config;
  std::vector<ConfigEntry> entries;  // every available key, in the order of the table
};

// Reads and checks everything, and returns the first error: invalid_field with the key in `field` and a text that names
// the key, the given value (never a secret or URL), what is allowed and the origin; not_found or too_large for a file.
// Does not demand a secret for tokens: only `serve` without --dev does. Waits for the disk.
Result<LoadedConfig> load_config(const ConfigSources& sources);

// The reference as a Markdown table: key, environment name, default, allowed, meaning. Keys that are not available in
// this version are left out.
std::string config_reference_markdown();

// Keys whose value differs and that a running node does not take over: they wait for a restart. Of two results of
// load_config().
std::vector<std::string> changed_for_restart(const std::vector<ConfigEntry>& running,
                                             const std::vector<ConfigEntry>& fresh);

// What `tidemark check-config` prints: one line per key with its value and origin.
std::string check_config_text(const LoadedConfig& loaded);

}  // namespace tidemark::app
