// The presence room's door: who is online, told to those who watch, and to a user's other devices.
//
// A user is online while a connection lives, and for `grace` after one was lost; a clean goodbye counts at once. State
// lives on the user's home worker; watchers are remembered there with the connection that watches.
// Does not promise: that every change is seen; a change that is undone within the grace is not told.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "session/session.h"

namespace tidemark::presence {

struct PresenceOptions {
  std::chrono::milliseconds grace{};
  size_t watches = 1000;  // users that one connection may watch
};

class Presence {
 public:
  // Which of `users` the viewer may see; the rest look offline. Null: everybody of the tenant.
  using Visibility = std::function<Task<Result<std::vector<bool>>>(UserKey viewer, std::vector<std::string> users)>;

  Presence(WorkerPool& workers, session::Sessions& sessions, const Clock& clock, PresenceOptions options,
           Visibility visibility, MetricRegistry& metrics);
  ~Presence();

  void add_commands(command::Table& table);
  void set_options(const PresenceOptions& options) { options_.replace(options); }  // from one thread
  // The node drains: connections that end from now on are moves, not departures.
  void hold() { held_.store(true); }

 private:
  struct Watcher {
    session::Connection connection;
    UserKey user;
  };
  struct UserState;
  struct Shard;
  struct View {
    std::string user;
    bool online = false;
    int64_t devices = 0;
    int64_t last_seen = 0;  // Unix milliseconds; 0: never
  };

  Shard& home(const UserKey& user);
  void added(const UserKey& user, const session::Connection& connection, const std::vector<session::Connection>& all);
  void removed(const UserKey& user, const session::Connection& connection,
               const std::vector<session::Connection>& left, CloseCode code);
  void settle(Shard& shard, const UserKey& user, UserState& state);
  void tell_watchers(const UserKey& user, const UserState& state);
  void tell_devices(const UserKey& user, std::string_view type, const DeviceId& device);
  View view_now(const UserKey& user);
  Task<View> view_of(UserKey user);
  void forget_watches(const UserKey& watcher, stream::OutletId outlet);
  void unwatch_at_home(const UserKey& target, stream::OutletId outlet);
  static std::string to_json(const View& view, bool as_frame);

  Task<Result<command::Reply>> watch(command::Caller caller, command::Request request);
  Task<Result<command::Reply>> unwatch(command::Caller caller, command::Request request);
  Task<Result<command::Reply>> list(command::Caller caller, command::Request request);
  Task<Result<std::vector<View>>> views(UserKey viewer, std::vector<std::string> users);

  session::Sessions& sessions_;
  const Clock& clock_;
  Live<PresenceOptions> options_;
  const Visibility visibility_;
  Counter& changes_;
  std::atomic<bool> held_{false};
  std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace tidemark::presence
