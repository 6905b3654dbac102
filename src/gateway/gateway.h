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
#include "core/stream_socket.h"
#include "device/device.h"
#include "gateway/frame_codec.h"
#include "gateway/handshake.h"
#include "session/session.h"
#include "stream/replay_plan.h"

namespace tidemark::gateway {

class Connection;

struct GatewayOptions {
  FrameLimits frames;
  size_t depth = 32;                        // JSON nesting of a client message
  size_t content_bytes = 256 * 1024;        // told in `welcome`
  size_t queue_bytes = 1024 * 1024;         // outbound, per connection
  size_t inflight = 256;                    // unanswered commands; beyond, the socket is not read
  size_t connections = 1000000;             // of this node
  std::chrono::milliseconds write_stall{10000};
  std::chrono::milliseconds heartbeat_interval{30000};
  std::chrono::milliseconds heartbeat_timeout{90000};
  std::chrono::milliseconds register_timeout{10000};
  stream::ReplayLimits replay;
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
};

// Writes a refusal as an HTTP response: status, code, text, further headers. Given by the HTTP door at wiring.
using Refuse = std::function<std::string(int status, std::string_view code, std::string_view text,
                                         const std::vector<std::pair<std::string_view, std::string>>& headers)>;

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
  bool draining() const { return draining_.load(); }

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
  };

  Task<> admit(std::unique_ptr<Admission> admission);
  Task<> open(std::shared_ptr<Connection> connection, Wishes wishes, bool registered);
  Task<Result<Opening>> plan(UserKey user, Wishes wishes);
  void refuse(Admission& admission, int status, std::string_view code, std::string_view text,
              std::vector<std::pair<std::string_view, std::string>> headers = {});
  void refuse(Admission& admission, const Error& error);
  std::shared_ptr<Connection> make_connection(Admission& admission, std::string_view subprotocol);
  bool origin_allowed(const RequestHead& head) const;
  static void name_device(Wishes& wishes, const DeviceId& device);
  command::Caller caller_of(const account::Claims& claims, const Wishes& wishes) const;

  void forget(Connection& connection, CloseCode code);
  void with(const session::Connection& at, Callback callback_on_worker);
  std::shared_ptr<Connection> find(const session::Connection& at);
  void drain_step(Shard& shard);

  const Parts parts_;
  const GatewayOptions options_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::atomic<uint64_t> next_id_{1};
  std::atomic<int64_t> active_{0};
  std::atomic<bool> draining_{false};
  std::function<void()> drained_;
  Counter& accepted_;
  Gauge& active_gauge_;
  Counter& sent_;
  Counter& received_;
  Counter& resumed_;
  Counter& gaps_;
};

}  // namespace tidemark::gateway
