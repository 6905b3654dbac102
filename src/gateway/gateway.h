// The gateway's door: WebSocket connections from the upgrade request to the close.
//
// Any worker may call what is public; connections are registered on their own worker only. Made at wiring, before the
// workers start; drained before they stop.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "account/account.h"
#include "conversation/conversation.h"
#include "core/live.h"
#include "core/stream_socket.h"
#include "core/turnstile.h"
#include "device/device.h"
#include "gateway/addresses.h"
#include "gateway/frame_codec.h"
#include "gateway/handshake.h"
#include "session/session.h"
#include "stream/replay_plan.h"

namespace tidemark::gateway {

class Connection;

// What may be changed while the node runs. What belongs to a connection's frames holds for newer connections only.
struct GatewayLimits {
  FrameLimits frames;
  size_t depth = 32;                  // JSON nesting of a client message
  size_t queue_bytes = 1024 * 1024;   // outbound, per connection
  size_t queue_total = 1 << 30;       // outbound, of all connections; each worker has its share
  size_t watches = 1000;              // users whose presence a connection of the event dialect watches
  size_t inflight = 256;              // unanswered commands; beyond, the socket is not read
  size_t inbound_per_second = 16 << 20;  // bytes of a connection's messages, in the long run
  size_t inbound_burst = 64 << 20;       // the same at once; at least one message
  size_t streams = 10000;                // conversations that a connection follows
  size_t connections = 1000000;       // of this node
  size_t connections_per_ip = 0;      // of one address, or one /64; 0: any number
  size_t handshakes_per_second = 0;   // upgrades that this node looks at, as many at once; 0: any number
  // Connections whose session and streams are looked up at the same time, those who may wait for it, and how long;
  // each worker has its share.
  size_t openings = 64;
  size_t openings_waiting = 10000;
  std::chrono::milliseconds opening_wait{5000};
  std::chrono::milliseconds write_stall{10000};
  std::chrono::milliseconds register_timeout{10000};
  stream::ReplayLimits replay;
};

struct GatewayOptions {
  GatewayLimits limits;
  size_t content_bytes = 256 * 1024;  // told in `welcome`
  std::chrono::milliseconds heartbeat_interval{30000};
  std::chrono::milliseconds heartbeat_timeout{90000};
  std::chrono::milliseconds drain_grace{30000};
  size_t drain_per_second = 500;
  std::vector<std::string> allowed_origins;  // empty: the same host
  bool compression = false;                  // permessage-deflate, for clients that offer it
  std::string node;
  std::string epoch;
  bool dev = false;  // `register` with a bare user id
};

// What the HTTP door hands over: a request for the WebSocket path, as it came.
struct Incoming {
  StreamSocket socket;
  RequestHead head;
  std::string early_bytes;
  std::string client_ip;
  int client_port = 0;
  bool scarce = false;  // file descriptors run short
};

// Writes a refusal as an HTTP response: status, code, text, further headers. Given by the HTTP door at wiring.
using Refuse = std::function<std::string(int status, std::string_view code, std::string_view text,
                                         const std::vector<std::pair<std::string_view, std::string>>& headers)>;

// A connection that has something to wait for, and all of them together.
struct ConnectionView {
  std::string tenant, user, device;
  int64_t connection = 0;
  int64_t behind = 0;       // entries between what it was sent and the heads of its streams
  int64_t queue_bytes = 0;  // that the socket has not taken
};
struct ConnectionsView {
  int64_t connections = 0;
  int64_t queued = 0;  // connections with a queue
  int64_t behind = 0;  // connections that read the log
  int64_t queue_bytes = 0;
  std::vector<ConnectionView> slowest;  // furthest behind first, then the longest queue
};

class Gateway {
 public:
  struct Parts {
    WorkerPool& workers;
    storage::Database& database;
    stream::Engine& engine;
    const account::Account& account;
    session::Sessions& sessions;
    device::Devices& devices;
    conversation::Conversations& conversations;
    command::RateLimiter& limiter;
    const command::Table& table;
    const Clock& clock;
    Random& random;
    MetricRegistry& metrics;
    Refuse refuse;
  };

  Gateway(Parts parts, GatewayOptions options);
  ~Gateway();

  // On the socket's worker.
  void accept(Incoming incoming);
  // For the session room, at wiring.
  session::ConnectionDoor door();
  size_t connections() const { return static_cast<size_t>(active_.load()); }
  void set_limits(const GatewayLimits& limits) { limits_.replace(limits); }  // from one thread
  bool draining() const { return draining_.load(); }
  // Closes (4006) the connections whose token is revoked by now. From any worker; soon after, in small steps.
  void drop_revoked();

  // While the node is short of memory newcomers are refused. Any thread.
  void set_memory_short(bool is_short) { memory_short_.store(is_short); }
  // Closes connections (4100), the longest queues first, until their queues hold so much together. Any thread.
  void shed(size_t bytes);
  // From any worker; looks at every connection. `limit`: how many of the slowest.
  Task<ConnectionsView> view(size_t limit);

  // From now on upgrades are refused and connections are told to go, a few at a time. `done` is called on a worker when
  // the last one has gone.
  void drain(std::function<void()> done);
  // Ends what is still connected without a word, before the workers stop. `done` is called on a worker.
  void abandon(std::function<void()> done);

 private:
  friend class Connection;
  struct Shard;

  // What a connection wants, from its query and headers.
  struct Wishes {
    DeviceId device{"default"};
    bool named_device = false;
    SessionId session;
    std::vector<std::string> only;
    bool replay = true;
    std::optional<bool> ack_auto;  // none: by whether a device is named

    bool auto_ack() const { return ack_auto.value_or(!named_device); }
  };
  struct Admission;
  // What a connection follows, and what it is told about it first.
  struct Opening {
    std::vector<stream::FollowRequest> follows;
    std::vector<stream::Frame> gaps;
    int64_t streams = 0;
    int64_t entries = 0;
    int64_t left_out = 0;  // conversations above limits.streams
  };

  Task<> admit(std::unique_ptr<Admission> admission);
  // A pass to look somebody up; an empty one where too many wait, or the wait was too long to be of use.
  Task<Turnstile::Pass> pass_to_open(Worker& worker);
  Task<> open_registered(std::shared_ptr<Connection> connection, Wishes wishes);
  Task<> open(std::shared_ptr<Connection> connection, Wishes wishes, bool registered, Turnstile::Pass pass);
  Task<Result<Opening>> plan(UserKey user, Wishes wishes);
  void refuse(Admission& admission, int status, std::string_view code, std::string_view text,
              std::vector<std::pair<std::string_view, std::string>> headers = {});
  void refuse(Admission& admission, const Error& error);
  // 503 with a time that is different for each: those who come back do not come together.
  void refuse_for_now(Admission& admission, std::string_view reason, std::string text,
                      std::chrono::milliseconds at_least = std::chrono::milliseconds(1000));
  bool admits(Admission& admission);
  std::shared_ptr<Connection> make_connection(Admission& admission, std::string_view subprotocol);
  bool origin_allowed(const RequestHead& head) const;
  static void name_device(Wishes& wishes, const DeviceId& device);
  command::Caller caller_of(const account::Claims& claims, const Wishes& wishes) const;

  void forget(Connection& connection, CloseCode code);
  // All queues of the worker together hold its share: who has something to read gets nothing more for now.
  bool queues_full(const Worker& worker) const {
    return worker.output_bytes() > limits_->queue_total / shards_.size();
  }
  void with(const session::Connection& at, Callback callback_on_worker);
  std::shared_ptr<Connection> find(const session::Connection& at);
  Task<std::optional<session::ConnectionReport>> report(session::Connection at);
  void drain_step(Shard& shard);
  static void shed_here(Shard& shard, size_t bytes);
  void revocation_step(Shard& shard);

  const Parts parts_;
  const GatewayOptions options_;
  Live<GatewayLimits> limits_;
  Addresses addresses_;
  command::RateBucket handshakes_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::atomic<uint64_t> next_id_{1};
  std::atomic<int64_t> active_{0};
  std::atomic<bool> draining_{false};
  std::atomic<bool> memory_short_{false};
  std::function<void()> drained_;
  Counter& accepted_;
  Gauge& active_gauge_;
  Counter& sent_;
  Counter& received_;
  Counter& signals_dropped_;
  Counter& inbound_refused_;
  Gauge& dropping_;  // connections that get no signals for now
  Gauge& lagging_;   // connections that are not pushed to for now
  Counter& resumed_;
  Counter& gaps_;
};

}  // namespace tidemark::gateway
