// The session room's door: sessions, and the live connections of every user.
//
// A session is one device's stay: it outlives connections, slides its expiry with activity, and its end closes what is
// connected with it. Connections are known by the worker that owns their user (home_of), so that replacing a device's
// connection, limits per user and closing a session see all of them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "account/account.h"
#include "command/table.h"
#include "core/error_table.h"
#include "core/live.h"
#include "core/metrics.h"
#include "core/random.h"
#include "storage/migrations.h"
#include "storage/personal.h"
#include "stream/subscriber.h"

namespace tidemark::session {

extern const std::span<const storage::Migration> kMigrations;

// How a session is, told in the same way on every door. The numbers are those of proto/session.proto, and are stored.
// Open: all but the last two, which REST calls `inactive`.
enum class State : uint8_t { unsaid = 0, connecting = 1, active = 2, idle = 3, disconnecting = 4, closed = 5 };
std::string_view name_of(State state);

// What went over a session's connection.
struct Stats {
  int64_t packets_sent = 0;  // frames to the client
  int64_t packets_received = 0;
  int64_t bytes_sent = 0;
  int64_t bytes_received = 0;
  int64_t retransmissions = 0;  // entries replayed
  int64_t current_rtt_ms = 0;   // 0: not measured yet
};

struct Session {
  SessionId id;
  UserKey user;
  DeviceId device;
  bool open = true;
  std::string client_ip;
  int client_port = 0;
  std::string metadata = "{}";  // JSON object of strings
  int64_t created_at = 0;       // Unix milliseconds, like all times here
  int64_t updated_at = 0;
  int64_t last_activity = 0;
  int64_t expires_at = 0;
  int64_t ttl_ms = 0;
  State told = State::unsaid;  // what a client said its state is; holds until the next activity
  int64_t told_at = 0;
  Stats stats;  // as a client told them
  bool duplicate = false;  // create() found it by its idempotency key
};

struct SessionOptions {
  std::chrono::milliseconds ttl{};
  std::chrono::milliseconds ttl_max{};
  std::chrono::milliseconds idle_after{};
  size_t connections_per_user = 20;
};

// A live connection as the user's home knows it.
struct Connection {
  stream::OutletId id = 0;
  int worker = 0;
  DeviceId device;
  bool named_device = false;  // then a newer connection of the device replaces this one
  SessionId session;
  std::vector<std::string> only;  // conversations it asked for; empty: all
};

// What the gateway knows of a connection.
struct ConnectionReport {
  std::string client_id;  // as its `welcome` said
  std::string node;
  Stats stats;
};

// What rooms ask of a connection that lives on another worker. Given by the gateway at wiring; every function posts to
// the connection's worker and does nothing if the connection is gone.
struct ConnectionDoor {
  // Nothing if it is gone. Continues on the calling worker.
  std::function<Task<std::optional<ConnectionReport>>(Connection)> report;
  std::function<void(const Connection&, CloseCode)> close;
  std::function<void(const Connection&, stream::Frame)> signal;
  std::function<void(const Connection&, stream::FollowRequest)> follow;
  std::function<void(const Connection&, stream::StreamKey)> unfollow;
};

// Called on the user's home worker.
struct ConnectionEvents {
  std::function<void(const UserKey&, const Connection&, const std::vector<Connection>& all)> added;
  // `clean`: the client said goodbye. `code`: how it ended.
  std::function<void(const UserKey&, const Connection&, const std::vector<Connection>& left, CloseCode code)> removed;
};

// Called on the user's home worker.
struct SessionEvents {
  std::function<void(const UserKey&, const SessionId&)> ended;  // it is closed in the store
  std::function<void(const UserKey&, const SessionId&)> alive;  // a frame, a call or a heartbeat
};

struct OpenRequest {
  UserKey user;
  DeviceId device;
  SessionId session;  // empty: the open one of this user and device, else a new one
  std::string client_ip;
  int client_port = 0;
  std::function<void(storage::Transaction&)> with_new;  // what else is stored together with a new one
};

struct CreateRequest {
  UserKey user;
  DeviceId device;
  std::string metadata = "{}";
  int64_t timeout_seconds = 0;  // 0: session.ttl
  std::string client_ip;
  int client_port = 0;
  std::string client_id;  // idempotency key, empty: none
};

struct ListRequest {
  UserKey owner;  // without a user: all sessions of the tenant
  State first = State::connecting;  // the states that are wanted, from here …
  State last = State::closed;       // … to here
  int64_t page = 1;
  int64_t page_size = 20;
};
struct SessionPage {
  std::vector<Session> sessions;  // newest first
  int64_t total = 0;
};

struct UpdateRequest {
  UserKey owner;
  SessionId id;
  std::string metadata;          // merged into what is there, an empty value removes its key; empty: unchanged
  State state = State::unsaid;   // `active` is activity, `closed` closes it; unsaid: unchanged
  std::optional<Stats> stats;
};

class Sessions {
 public:
  static constexpr size_t kMetadataBytes = 8192;  // of one session, as JSON
  static constexpr int64_t kPageSizeMax = 200;
  static constexpr int64_t kPageMax = 1'000'000;
  static constexpr int64_t kTimeoutSecondsMax = 10LL * 365 * 86400;

  Sessions(WorkerPool& workers, storage::Database& database, const account::Account& account, const Clock& clock,
           Random& random, SessionOptions options, MetricRegistry& metrics);
  ~Sessions();

  // At wiring.
  void set_door(ConnectionDoor door);
  void add_events(ConnectionEvents events);
  void add_session_events(SessionEvents events);
  void add_commands(command::Table& table);
  void start();  // begins to expire; after the workers have started
  void set_options(const SessionOptions& options) { options_.replace(options); }  // from one thread

  Worker& home_of(const UserKey& user) const { return workers_.owner_of(std::hash<UserKey>{}(user)); }

  // Each of these continues on the calling worker.
  // For a connection: finds or creates. Another's or unknown session: not_found; a closed one: gone.
  Task<Result<Session>> open(OpenRequest request);
  Task<Result<Session>> create(CreateRequest request);
  // Here and below: a UserKey without a user stands for everybody of its tenant.
  Task<Result<Session>> get(UserKey user, SessionId id);
  Task<Result<SessionPage>> list(ListRequest request);
  // not_found; a closed one: gone; invalid_field where the metadata would be too long together.
  Task<Result<Session>> update(UpdateRequest request);
  // Keeps the session alive; errors as update().
  Task<Result<Session>> heartbeat(UserKey user, SessionId id);
  // The newest live connection of the session; nothing if there is none.
  Task<std::optional<ConnectionReport>> live(UserKey user, SessionId id);
  State state_of(const Session& session) const;
  // `unauthorized` unless the session is open: for tokens that carry a sid. An unknown id is not open.
  Task<Status> check_open(UserKey user, SessionId id);
  // The claims of a token that is good now and whose session, if it names one, is open; that is activity of the session.
  Task<Result<account::Claims>> authenticate(std::string token);
  // Ends a session and closes its connections (4006).
  Task<Status> close(UserKey user, SessionId id);
  // Ends all sessions of the user and closes the connections (4006). Ends on the user's home worker.
  Task<Status> close_all(UserKey user);
  // What is kept about a user, for the export; and its removal, a bounded part at a time: returns how many rows went.
  static std::vector<storage::PersonalPart> personal_parts();
  static Result<int64_t> forget_some(storage::Transaction& tx, const UserKey& user);
  // The newest activity of any session of the user, 0 if there was none.
  Task<Result<int64_t>> last_seen(UserKey user);

  // Live connections. add() replaces the device's older connection (4005) and refuses above the limit (too_large).
  Task<Status> add_connection(UserKey user, Connection connection);
  void remove_connection(UserKey user, Connection connection, CloseCode code);
  // Activity of a connection or a call: slides the expiry, stored in batches.
  void touch(const UserKey& user, const SessionId& id);

  // On the user's home worker: the user's live connections.
  const std::vector<Connection>& connections_of(const UserKey& user) const;
  const ConnectionDoor& door() const { return door_; }

  struct Online {
    int64_t users = 0;
    int64_t connections = 0;
  };
  // Users and connections of a tenant.
  Task<Online> online(TenantId tenant);
  // Users with a connection, of all tenants.
  Task<int64_t> online_users();

  std::string token_for(const Session& session, const command::Caller& maker) const;
  std::string to_json(const Session& session) const;

 private:
  friend class SessionCommands;
  struct Shard;

  Shard& shard_of(const UserKey& user) const;
  Task<> expire();
  Task<> store_activity(Shard* shard);

  WorkerPool& workers_;
  storage::Database& database_;
  const account::Account& account_;
  const Clock& clock_;
  Random& random_;
  Live<SessionOptions> options_;
  ConnectionDoor door_;
  std::vector<ConnectionEvents> events_;
  std::vector<SessionEvents> session_events_;
  std::vector<std::unique_ptr<Shard>> shards_;  // one per worker
  Counter& created_;
  Counter& heartbeats_;
  Gauge& active_;
};

}  // namespace tidemark::session
