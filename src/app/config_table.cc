#include "app/config_table.h"

#include <algorithm>
#include <boost/asio/ip/host_name.hpp>
#include <thread>
#include <type_traits>

#include "app/config_value.h"
#include "core/address.h"
#include "core/ids.h"
#include "core/process_memory.h"
#include "core/worker.h"

namespace tidemark::app {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr uint64_t operator""_KiB(unsigned long long n) { return n << 10; }
constexpr uint64_t operator""_MiB(unsigned long long n) { return n << 20; }
constexpr uint64_t operator""_GiB(unsigned long long n) { return n << 30; }

template <auto Group, auto Member>
auto& at(Config& config) {
  return config.*Group.*Member;
}

template <auto Group, auto Member>
void assign(Config& config, size_t index) {
  auto& value = at<Group, Member>(config);
  value = static_cast<std::remove_reference_t<decltype(value)>>(index);
}

constexpr std::string_view kSynchronousNames[] = {"full", "normal"};
constexpr std::string_view kTruthNames[] = {"false", "true"};
constexpr std::string_view kCompressionNames[] = {"off", "deflate"};
constexpr std::string_view kVisibilityNames[] = {"tenant", "contacts"};
constexpr std::string_view kPolicyNames[] = {"lww", "merge", "manual"};
constexpr std::string_view kLevelNames[] = {"debug", "info", "warn", "error"};
constexpr std::string_view kFormatNames[] = {"text", "json"};

bool any_text(std::string_view) { return true; }
bool is_storage_url(std::string_view url) {
  constexpr std::string_view kSqlite = "sqlite:";
  const auto names_something = [url](std::string_view scheme) { return url.starts_with(scheme) && url.size() > scheme.size(); };
  return url == "memory:" || names_something(kSqlite) || names_something("postgresql://") || names_something("postgres://");
}

// A host name that cannot be a node id (none, or longer than one may be) leaves the choice to the operator.
std::string host_name() {
  boost::system::error_code failed;
  return boost::asio::ip::host_name(failed);
}
std::string memory_default() { return std::to_string(memory_of_process() / 5 * 4 >> 20) + "MiB"; }
std::string worker_count() {
  return std::to_string(std::clamp(std::thread::hardware_concurrency(), 1U, static_cast<unsigned>(kWorkersMax)));
}

// A row that a running node takes over at SIGHUP.
constexpr ConfigKey live(ConfigKey key) {
  key.reloads = true;
  return key;
}

bool is_network(std::string_view text) {
  const std::string one(text);
  return Networks::parse({&one, 1}).ok();
}

using C = Config;
constexpr Unavailable kNotYet;
constexpr Unavailable kUrlNotYet{true};

const ConfigKey kTable[] = {
    {"http.listen", "0.0.0.0:8080", ListenerKey{at<&C::http, &C::Http::listen>},
     "WebSocket, REST and the demo page; beyond a private network with `http.tls.cert`, or behind a proxy with TLS",
     "127.0.0.1:8080"},
    {"http.allowed_origins", "",
     ListKey{at<&C::http, &C::Http::allowed_origins>, "origins like https://app.example.com", is_origin},
     "web pages that may connect, compared exactly; none: pages of the same host only"},
    live({"http.tls.cert", "", TextKey{at<&C::http, &C::Http::tls_cert>, "path", any_text},
     "certificate with its chain, a PEM file; with `http.tls.key` it makes `http.listen` speak HTTPS and WSS"}),
    live({"http.tls.key", "", TextKey{at<&C::http, &C::Http::tls_key>, "path", any_text},
     "the certificate's private key, a PEM file without a password; SIGHUP reads both again"}),
    {"http.compression", "off", ChoiceKey{kCompressionNames, assign<&C::http, &C::Http::compression>},
     "deflate: messages from 256 bytes on are compressed for clients that offer permessage-deflate"},
    {"http.trusted_proxies", "",
     ListKey{at<&C::http, &C::Http::trusted_proxies>, "addresses and networks like 10.0.0.0/8, 2001:db8::/32", is_network},
     "proxies whose X-Forwarded-For and PROXY protocol header say who a client is; from others the first is ignored and "
     "the second refused"},

    {"gateway.metrics_listen", "127.0.0.1:9100", ListenerKey{at<&C::gateway, &C::Gateway::metrics_listen>},
     "metrics of a node that has only the role gateway"},

    {"session.grpc_listen", "127.0.0.1:9001", ListenerKey{at<&C::session, &C::Session::grpc_listen>},
     "sessions over gRPC; beyond this machine only with `grpc.tls.cert` or `grpc.insecure`"},
    {"session.metrics_listen", "127.0.0.1:9101", ListenerKey{at<&C::session, &C::Session::metrics_listen>},
     "metrics of the whole process, Prometheus text"},
    live({"session.ttl", "24h", DurationKey{at<&C::session, &C::Session::ttl>, minutes(1), days(365)},
     "life of a session that asks for none"}),
    live({"session.ttl_max", "30d", DurationKey{at<&C::session, &C::Session::ttl_max>, minutes(1), days(365)},
     "longest life a session may ask for"}),
    live({"session.idle_after", "5m", DurationKey{at<&C::session, &C::Session::idle_after>, seconds(1), hours(24)},
     "a session without a heartbeat for this long is idle"}),

    {"statesync.grpc_listen", "127.0.0.1:9002", ListenerKey{at<&C::statesync, &C::StateSync::grpc_listen>},
     "documents over gRPC; beyond this machine only with `grpc.tls.cert` or `grpc.insecure`"},
    {"statesync.metrics_listen", "127.0.0.1:9102", ListenerKey{at<&C::statesync, &C::StateSync::metrics_listen>},
     "the same numbers as `session.metrics_listen`, at the port where dashboards of documents look for them"},
    {"statesync.lock_ttl", "30s", DurationKey{at<&C::statesync, &C::StateSync::lock_ttl>, milliseconds(100), hours(1)},
     "life of a document's lock that asks for none"},
    {"statesync.conflict_policy", "merge", ChoiceKey{kPolicyNames, assign<&C::statesync, &C::StateSync::conflict_policy>},
     "how conflicts are settled where neither the operation nor its document says so"},
    {"statesync.compact_after", "10000",
     CountKey{at<&C::statesync, &C::StateSync::compact_after>, 100, 1'000'000},
     "operations of a document that stay readable and that an author may be behind"},
    {"statesync.snapshot_every", "1000",
     CountKey{at<&C::statesync, &C::StateSync::snapshot_every>, 10, 1'000'000},
     "operations between two snapshots of a document; more where a snapshot is large"},
    {"statesync.content", "4MiB", BytesKey{at<&C::statesync, &C::StateSync::content>, 1_KiB, 64_MiB},
     "content of one document"},
    {"statesync.bookmark", "10s", DurationKey{at<&C::statesync, &C::StateSync::bookmark>, milliseconds(100), hours(1)},
     "silence after which a document's followers are told where they are"},

    live({"grpc.tls.cert", "", TextKey{at<&C::grpc, &C::Grpc::tls_cert>, "path", any_text},
     "certificate with its chain, a PEM file, perhaps that of `http.tls.cert`; with `grpc.tls.key` the gRPC ports speak TLS"}),
    live({"grpc.tls.key", "", TextKey{at<&C::grpc, &C::Grpc::tls_key>, "path", any_text},
     "the certificate's private key, a PEM file without a password; SIGHUP reads both again"}),
    live({"grpc.tls.client_ca", "", TextKey{at<&C::grpc, &C::Grpc::tls_client_ca>, "path", any_text},
     "clients of the gRPC ports need a certificate that one of these has signed, a PEM file"}),
    {"grpc.insecure", "false", ChoiceKey{kTruthNames, assign<&C::grpc, &C::Grpc::insecure>},
     "true: the gRPC ports may listen beyond this machine without TLS, for a network that nobody else is in"},
    {"grpc.reflection", "true", ChoiceKey{kTruthNames, assign<&C::grpc, &C::Grpc::reflection>},
     "tools like grpcurl may ask for the services and their messages"},
    {"grpc.calls", "1024", CountKey{at<&C::grpc, &C::Grpc::calls>, 1, 1'000'000},
     "calls on the gRPC ports that are under way at the same time, without subscriptions; above: UNAVAILABLE"},
    {"grpc.subscriptions", "10000", CountKey{at<&C::grpc, &C::Grpc::subscriptions>, 1, 1'000'000},
     "subscriptions on the gRPC ports and calls that wait for a lock, together; above: UNAVAILABLE"},

    {"storage.url", "sqlite:./data/tidemark.db",
     UrlKey{at<&C::storage, &C::Storage::url>, "sqlite:PATH, postgresql://USER@HOST/DATABASE or memory:", is_storage_url},
     "where everything is kept; memory: forgets it all at exit"},
    {"storage.pool", "16", CountKey{at<&C::storage, &C::Storage::pool>, 3, 512},
     "connections to PostgreSQL: at most half of them write, one for each worker; at most `storage.readers` read; one watches"},
    {"storage.readers", "2", CountKey{at<&C::storage, &C::Storage::readers>, 1, 64},
     "threads that read from the store"},
    {"storage.statement_timeout", "2s", DurationKey{at<&C::storage, &C::Storage::statement_timeout>, Milliseconds(100), seconds(60)},
     "PostgreSQL: longest time of one statement, and without an answer; above: `unavailable`"},
    {"storage.synchronous", "full", ChoiceKey{kSynchronousNames, assign<&C::storage, &C::Storage::synchronous>},
     "normal is faster and may lose acknowledged messages when the machine loses power"},

    {"redis.url", "", kUrlNotYet},
    {"redis.connections", "4", kNotYet},
    {"redis.timeout", "1s", kNotYet},
    {"redis.retries", "3", kNotYet},

    live({"auth.hs256_secret", "", SecretKey{at<&C::auth, &C::Auth::hs256_secret>, 32},
     "signs and checks HS256 tokens; `serve` without `--dev` needs this or `auth.jwks_file`"}),
    live({"auth.hs256_secret_previous", "", SecretKey{at<&C::auth, &C::Auth::hs256_secret_previous>, 32},
     "still accepted while tokens move to a new secret"}),
    live({"auth.jwks_file", "", TextKey{at<&C::auth, &C::Auth::jwks_file>, "path", any_text},
     "public keys that check RS256, ES256 and EdDSA tokens, a JWK set"}),
    {"auth.issuer", "", TextKey{at<&C::auth, &C::Auth::issuer>, "text", any_text},
     "the `iss` that a token must have; none: not checked"},
    {"auth.audience", "", TextKey{at<&C::auth, &C::Auth::audience>, "text", any_text},
     "the `aud` that a token must have; none: not checked"},
    {"auth.token_ttl_max", "forever",
     DurationOrForeverKey{at<&C::auth, &C::Auth::token_ttl_max>, minutes(1), days(36'500)},
     "longest life of a token, from `iat` to `exp`; with it, revocations are forgotten when it is over"},

    {"node.id", "host name", TextKey{at<&C::node, &C::Node::id>, "1 to 128 bytes", is_valid_id},
     "name of this node, different on every node", {}, host_name},
    {"node.roles", "gateway, session, statesync", kNotYet},
    {"node.workers", "one per core", CountKey{at<&C::node, &C::Node::workers>, 1, kWorkersMax},
     "threads that serve connections; with more cores, 64", {}, worker_count},

    live({"limits.frame", "512KiB", BytesKey{at<&C::limits, &C::Limits::frame>, 1_KiB, 16_MiB},
     "WebSocket message from a client; a longer one closes the connection (1009)"}),
    live({"limits.fragments", "64", CountKey{at<&C::limits, &C::Limits::fragments>, 1, 65'536},
     "fragments of one WebSocket message"}),
    live({"limits.depth", "32", CountKey{at<&C::limits, &C::Limits::depth>, 4, 256}, "nesting of JSON from a client"}),
    {"limits.content", "256KiB", BytesKey{at<&C::limits, &C::Limits::content>, 16, 16_MiB}, "content of one message"},
    {"limits.data", "64KiB", BytesKey{at<&C::limits, &C::Limits::data>, 16, 16_MiB},
     "data of a signal, and of the metadata of one object"},
    live({"limits.queue", "1MiB", BytesKey{at<&C::limits, &C::Limits::queue>, 4_KiB, 1_GiB},
     "bytes waiting for one connection; beyond it live frames are not queued and the device reads the log later"}),
    live({"limits.queue_total", "1GiB", BytesKey{at<&C::limits, &C::Limits::queue_total>, 1_MiB, 1024_GiB},
     "bytes waiting for all connections of this node; beyond it connections that have something waiting get nothing more "
     "for now and read the log later"}),
    live({"limits.memory", "80 % of what the machine or the control group has",
     BytesKey{at<&C::limits, &C::Limits::memory>, 16_MiB, 65536_GiB},
     "resident memory above which upgrades are refused (503) and the longest queues closed (4100)", {}, memory_default}),
    live({"limits.inflight", "256", CountKey{at<&C::limits, &C::Limits::inflight>, 1, 65'536},
     "unanswered commands of one connection; beyond it the socket is not read"}),
    live({"limits.write_stall", "10s", DurationKey{at<&C::limits, &C::Limits::write_stall>, milliseconds(100), minutes(10)},
     "a connection that takes no byte for this long is closed (4101)"}),
    live({"limits.messages_per_second", "20", CountKey{at<&C::limits, &C::Limits::messages_per_second>, 1, 1'000'000},
     "messages of one user, in the long run"}),
    live({"limits.messages_burst", "40", CountKey{at<&C::limits, &C::Limits::messages_burst>, 1, 1'000'000},
     "messages of one user at once"}),
    live({"limits.operations_per_second", "500",
     CountKey{at<&C::limits, &C::Limits::operations_per_second>, 1, 1'000'000},
     "operations on documents, locks included, of one user over WebSocket and REST, in the long run"}),
    live({"limits.operations_burst", "2000", CountKey{at<&C::limits, &C::Limits::operations_burst>, 1, 1'000'000},
     "the same at once"}),
    live({"limits.signals_per_second", "100", CountKey{at<&C::limits, &C::Limits::signals_per_second>, 1, 1'000'000},
     "typing, read, watch and unwatch of one user, in the long run"}),
    live({"limits.signals_burst", "500", CountKey{at<&C::limits, &C::Limits::signals_burst>, 1, 1'000'000},
     "the same at once"}),
    live({"limits.queries_per_second", "100", CountKey{at<&C::limits, &C::Limits::queries_per_second>, 1, 1'000'000},
     "history, lists and other reading of one user, in the long run"}),
    live({"limits.queries_burst", "500", CountKey{at<&C::limits, &C::Limits::queries_burst>, 1, 1'000'000},
     "the same at once"}),
    live({"limits.creations_per_minute", "60", CountKey{at<&C::limits, &C::Limits::creations_per_minute>, 1, 60'000'000},
     "conversations, also direct ones by their first message, and sessions that one user makes, in the long run"}),
    live({"limits.creations_burst", "200", CountKey{at<&C::limits, &C::Limits::creations_burst>, 1, 1'000'000},
     "the same at once"}),
    live({"limits.upkeep_per_second", "2000", CountKey{at<&C::limits, &C::Limits::upkeep_per_second>, 1, 1'000'000},
     "`ping` and `ack` of one user, in the long run"}),
    live({"limits.upkeep_burst", "20000", CountKey{at<&C::limits, &C::Limits::upkeep_burst>, 1, 1'000'000},
     "the same at once"}),
    live({"limits.inbound_per_second", "16MiB", BytesKey{at<&C::limits, &C::Limits::inbound_per_second>, 1_KiB, 1024_GiB},
     "bytes of the messages of one connection, in the long run"}),
    live({"limits.inbound_burst", "64MiB", BytesKey{at<&C::limits, &C::Limits::inbound_burst>, 1_KiB, 1024_GiB},
     "the same at once; one message of `limits.frame` always"}),
    live({"limits.streams", "10000", CountKey{at<&C::limits, &C::Limits::streams>, 1, 1'000'000},
     "conversations that one connection follows: those with the latest activity"}),
    live({"limits.members", "10000", CountKey{at<&C::limits, &C::Limits::members>, 2, 1'000'000},
     "members of one conversation"}),
    live({"limits.receipt_members", "100", CountKey{at<&C::limits, &C::Limits::receipt_members>, 0, 10'000},
     "larger conversations get no read and delivered frames"}),
    live({"limits.watches", "1000", CountKey{at<&C::limits, &C::Limits::watches>, 0, 1'000'000},
     "users whose presence one connection may watch"}),
    {"limits.revocations", "100000", CountKey{at<&C::limits, &C::Limits::revocations>, 1, 10'000'000},
     "revocations in force at one time"},
    live({"limits.connections", "1000000", CountKey{at<&C::limits, &C::Limits::connections>, 1, 10'000'000},
     "connections of this node"}),
    live({"limits.connections_per_user", "20", CountKey{at<&C::limits, &C::Limits::connections_per_user>, 1, 100'000},
     "connections of one user (4007)"}),
    live({"limits.connections_per_ip", "0", CountKey{at<&C::limits, &C::Limits::connections_per_ip>, 0, 10'000'000},
     "WebSocket connections of one address or one IPv6 /64 (503); 0: any number"}),
    live({"limits.handshakes_per_second", "0", CountKey{at<&C::limits, &C::Limits::handshakes_per_second>, 0, 1'000'000},
     "upgrades that this node looks at, as many at once (503); 0: any number"}),
    live({"limits.openings", "64", CountKey{at<&C::limits, &C::Limits::openings>, 1, 100'000},
     "connections whose session and streams are looked up at the same time"}),
    live({"limits.openings_waiting", "10000", CountKey{at<&C::limits, &C::Limits::openings_waiting>, 1, 10'000'000},
     "connections that may wait for that; beyond it upgrades are refused (503)"}),
    live({"limits.opening_wait", "5s",
     DurationKey{at<&C::limits, &C::Limits::opening_wait>, milliseconds(10), minutes(5)},
     "longest wait for that; after it the upgrade is refused (503)"}),
    live({"limits.replay_entries", "1000", CountKey{at<&C::limits, &C::Limits::replay_entries>, 1, 100'000},
     "newest entries per stream that a resume replays"}),
    live({"limits.register_timeout", "10s",
     DurationKey{at<&C::limits, &C::Limits::register_timeout>, milliseconds(100), minutes(5)},
     "from the handshake to a registered device (4002)"}),
    {"limits.handshake_timeout", "5s",
     DurationKey{at<&C::limits, &C::Limits::handshake_timeout>, milliseconds(100), minutes(5)},
     "from the TCP connection to the end of the HTTP request"},
    {"limits.http_body", "1MiB", BytesKey{at<&C::limits, &C::Limits::http_body>, 1_KiB, 64_MiB},
     "body of an HTTP request"},

    {"heartbeat.interval", "30s",
     DurationKey{at<&C::heartbeat, &C::Heartbeat::interval>, milliseconds(100), hours(1)},
     "silence after which the server pings"},
    {"heartbeat.timeout", "90s", DurationKey{at<&C::heartbeat, &C::Heartbeat::timeout>, milliseconds(200), hours(2)},
     "silence after which a connection is dropped (4202); longer than the interval"},

    {"presence.lease", "15s", kNotYet},
    live({"presence.grace", "5s", DurationKey{at<&C::presence, &C::Presence::grace>, seconds(0), minutes(10)},
     "time to come back before the others are told that a user is offline"}),
    {"presence.visibility", "tenant", ChoiceKey{kVisibilityNames, assign<&C::presence, &C::Presence::visibility>},
     "who may watch a user: everybody of the tenant, or those who share a conversation"},

    {"cursors.store_every", "5s", DurationKey{at<&C::cursors, &C::Cursors::store_every>, milliseconds(10), minutes(10)},
     "how often what devices acknowledged is written; a crash repeats at most this much"},

    {"retention.messages", "forever",
     DurationOrForeverKey{at<&C::retention, &C::Retention::messages>, minutes(1), days(36'500)},
     "age at which messages are deleted"},
    {"retention.sync", "7d", DurationKey{at<&C::retention, &C::Retention::sync>, minutes(1), days(3'650)},
     "age at which entries of a user's own stream are deleted"},
    {"retention.devices", "30d", DurationKey{at<&C::retention, &C::Retention::devices>, minutes(1), days(3'650)},
     "a device that was away for longer is forgotten and starts anew"},
    {"retention.audit", "365d", DurationKey{at<&C::retention, &C::Retention::audit>, minutes(1), days(36'500)},
     "age at which records of the audit log are deleted"},

    {"drain.grace", "30s", DurationKey{at<&C::drain, &C::Drain::grace>, seconds(0), hours(1)},
     "time in which a stopping node hands its connections over"},
    {"drain.connections_per_second", "500", CountKey{at<&C::drain, &C::Drain::connections_per_second>, 1, 1'000'000},
     "connections that a stopping node closes per second, more if the grace would not do"},

    live({"log.level", "info", ChoiceKey{kLevelNames, assign<&C::log, &C::Log::level>}, "lines below it are not written"}),
    {"log.format", "text", ChoiceKey{kFormatNames, assign<&C::log, &C::Log::format>}, "one line per event, on stderr"},

    {"tracing.otlp_endpoint", "", kUrlNotYet},
    {"tracing.service_name", "tidemark", kNotYet},
};

}  // namespace

std::span<const ConfigKey> config_table() { return kTable; }

}  // namespace tidemark::app
