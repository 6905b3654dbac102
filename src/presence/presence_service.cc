#include <algorithm>

#include "core/json.h"
#include "core/seeded_fault.h"
#include "presence/presence.h"

namespace tidemark::presence {

using command::Caller;
using command::FieldType;
using command::Reply;
using command::Request;
using session::Connection;

// Owner: the user's home worker. Kept only while it says more than the user's connections do: most users are watched by
// nobody and are online because they have a connection.
struct Presence::UserState {
  UserState(Shard& of, UserKey key, bool is_online);

  Shard& shard;
  UserKey user;
  bool online;
  int64_t last_seen = 0;  // 0: not known here, the sessions know
  std::vector<Watcher> watchers;
  struct Leaving {
    DeviceId device;
    Instant deadline;
  };
  std::vector<Leaving> leaving;  // devices whose connection was lost and may come back
  Timer grace_timer;
};

// Owner: its worker.
struct Presence::Shard {
  Shard(Presence& presence, Worker& of) : self(presence), worker(of) {}

  // `online`: what is known of a user whose state is not kept.
  UserState& state(const UserKey& user, bool online) {
    auto& slot = users[user];
    if (!slot) {
      slot = std::make_unique<UserState>(*this, user, online);
    }
    return *slot;
  }
  UserState* find(const UserKey& user) {
    const auto found = users.find(user);
    return found == users.end() ? nullptr : found->second.get();
  }
  bool is_connected(const UserKey& user) const { return !self.sessions_.connections_of(user).empty(); }
  void drop_if_empty(const UserKey& user) {
    const auto found = users.find(user);
    if (found != users.end() && found->second->watchers.empty() && found->second->leaving.empty() &&
        found->second->online == is_connected(user)) {
      users.erase(found);
    }
  }

  Presence& self;
  Worker& worker;
  std::unordered_map<UserKey, std::unique_ptr<UserState>> users;
  // What each connection of the users at home here watches.
  std::unordered_map<stream::OutletId, std::vector<UserKey>> watches;
};

Presence::UserState::UserState(Shard& of, UserKey key, bool is_online)
    : shard(of),
      user(std::move(key)),
      online(is_online),
      grace_timer(
          [](void* context) {
            auto& state = *static_cast<UserState*>(context);
            const UserKey whose = state.user;
            Shard& where = state.shard;
            where.self.settle(where, whose, state);
            where.drop_if_empty(whose);
          },
          this) {}

Presence::Presence(WorkerPool& workers, session::Sessions& sessions, const Clock& clock, PresenceOptions options,
                   Visibility visibility, MetricRegistry& metrics)
    : sessions_(sessions),
      clock_(clock),
      options_(options),
      visibility_(std::move(visibility)),
      changes_(metrics.counter("tidemark_presence_changes_total", "Users who went online or offline.")) {
  for (int i = 0; i < workers.size(); ++i) {
    shards_.push_back(std::make_unique<Shard>(*this, workers.at(i)));
  }
  sessions_.add_events(
      {[this](const UserKey& user, const Connection& connection, const std::vector<Connection>& all) {
         added(user, connection, all);
       },
       [this](const UserKey& user, const Connection& connection, const std::vector<Connection>& left, CloseCode code) {
         removed(user, connection, left, code);
       }});
}

Presence::~Presence() = default;

Presence::Shard& Presence::home(const UserKey& user) {
  return *shards_[static_cast<size_t>(sessions_.home_of(user).index())];
}

std::string Presence::to_json(const View& view, bool as_frame) {
  std::string json;
  JsonWriter writer(json);
  writer.begin();
  if (as_frame) {
    writer.field("type", "presence");
  }
  writer.field("user_id", view.user)
      .field("online", view.online)
      .field("devices", view.devices)
      .field("last_seen", view.last_seen)
      .end();
  return json;
}

void Presence::added(const UserKey& user, const Connection& connection, const std::vector<Connection>& all) {
  Shard& shard = home(user);
  UserState* const state = shard.find(user);
  const bool returned =
      state != nullptr &&
      std::erase_if(state->leaving, [&](const auto& one) { return one.device == connection.device; }) > 0;
  const auto of_device = std::count_if(all.begin(), all.end(),
                                       [&](const Connection& one) { return one.device == connection.device; });
  if (!returned && of_device == 1) {
    tell_devices(user, "device_online", connection.device);
  }
  const bool was_online = state != nullptr ? state->online : all.size() > 1;
  if (!was_online) {
    changes_.add();
  }
  if (state != nullptr) {
    state->online = true;
    if (!was_online) {
      tell_watchers(user, *state);
    }
    shard.drop_if_empty(user);
  }
}

void Presence::removed(const UserKey& user, const Connection& connection, const std::vector<Connection>& left,
                       CloseCode code) {
  Shard& shard = home(user);
  forget_watches(user, connection.id);
  UserState& state = shard.state(user, true);
  // Replaced: added() comes next, for the newer connection. Held: online until the node has gone.
  if (code == CloseCode::replaced || held_.load() || TIDEMARK_FAULT(ghost_presence)) {
    return;
  }
  const bool others = std::any_of(left.begin(), left.end(),
                                  [&](const Connection& one) { return one.device == connection.device; });
  if (!others) {
    const bool clean = code == CloseCode::normal || code == CloseCode::going_away;
    state.leaving.push_back({connection.device, shard.worker.now() + (clean ? std::chrono::milliseconds(0) : options_->grace)});
    if (clean) {
      settle(shard, user, state);
    } else if (!state.grace_timer.armed()) {
      shard.worker.arm(state.grace_timer, options_->grace);
    }
  }
  shard.drop_if_empty(user);
}

// Devices whose grace is over are gone; a user without devices is offline.
void Presence::settle(Shard& shard, const UserKey& user, UserState& state) {
  const Instant now = shard.worker.now();
  std::vector<DeviceId> gone;
  std::erase_if(state.leaving, [&](const auto& one) {
    if (one.deadline > now) {
      return false;
    }
    gone.push_back(one.device);
    return true;
  });
  for (const DeviceId& device : gone) {
    tell_devices(user, "device_offline", device);
  }
  if (state.online && state.leaving.empty() && sessions_.connections_of(user).empty()) {
    state.online = false;
    state.last_seen = clock_.unix_ms();
    changes_.add();
    tell_watchers(user, state);
  }
  if (!state.leaving.empty()) {
    Instant next = state.leaving.front().deadline;
    for (const auto& one : state.leaving) {
      next = std::min(next, one.deadline);
    }
    shard.worker.arm(state.grace_timer, next - now);
  }
}

void Presence::tell_watchers(const UserKey& user, const UserState& state) {
  if (state.watchers.empty()) {
    return;
  }
  const stream::Frame frame = stream::Frame::text(to_json(view_now(user), true));
  for (const Watcher& watcher : state.watchers) {
    sessions_.door().signal(watcher.connection, frame);
  }
}

void Presence::tell_devices(const UserKey& user, std::string_view type, const DeviceId& device) {
  std::string json;
  JsonWriter(json)
      .begin()
      .field("type", type)
      .field("device_id", device.str())
      .field("timestamp", clock_.unix_ms())
      .end();
  const stream::Frame frame = stream::Frame::text(json);
  for (const Connection& connection : sessions_.connections_of(user)) {
    if (connection.device != device) {
      sessions_.door().signal(connection, frame);
    }
  }
}

// What the home worker knows by itself; an offline user's last_seen may be 0.
Presence::View Presence::view_now(const UserKey& user) {
  View view;
  view.user = user.user.str();
  Shard& shard = home(user);
  const UserState* const state = shard.find(user);
  view.online = state != nullptr ? state->online : shard.is_connected(user);
  view.last_seen = view.online ? clock_.unix_ms() : state != nullptr ? state->last_seen : 0;
  std::vector<DeviceId> devices;
  for (const Connection& connection : sessions_.connections_of(user)) {
    if (std::find(devices.begin(), devices.end(), connection.device) == devices.end()) {
      devices.push_back(connection.device);
    }
  }
  view.devices = static_cast<int64_t>(devices.size());
  return view;
}

Task<Presence::View> Presence::view_of(UserKey user) {
  Worker& from = *Worker::current();
  co_await sessions_.home_of(user).enter();
  View view = view_now(user);
  if (!view.online && view.last_seen == 0) {
    const auto seen = co_await sessions_.last_seen(user);
    view = view_now(user);  // the user may have come in the meantime
    if (view.last_seen == 0 && seen.ok()) {
      view.last_seen = *seen;
    }
  }
  co_await from.enter();
  co_return view;
}

Task<Result<std::vector<Presence::View>>> Presence::views(UserKey viewer, std::vector<std::string> users) {
  std::vector<bool> visible(users.size(), true);
  if (visibility_ && !viewer.user.empty()) {
    auto seen = co_await visibility_(viewer, users);
    if (!seen.ok()) {
      co_return seen.error();
    }
    visible = std::move(*seen);
  }
  std::vector<View> views;
  for (size_t i = 0; i < users.size(); ++i) {
    if (visible[i]) {
      views.push_back(co_await view_of({viewer.tenant, UserId(users[i])}));
    } else {
      views.push_back(View{users[i], false, 0, 0});
    }
  }
  co_return views;
}

void Presence::forget_watches(const UserKey& watcher, stream::OutletId outlet) {
  Shard& shard = home(watcher);
  const auto found = shard.watches.find(outlet);
  if (found == shard.watches.end()) {
    return;
  }
  for (const UserKey& target : found->second) {
    unwatch_at_home(target, outlet);
  }
  shard.watches.erase(found);
}

void Presence::unwatch_at_home(const UserKey& target, stream::OutletId outlet) {
  Worker& worker = sessions_.home_of(target);
  if (!worker.is_current()) {
    worker.post([this, moved = std::make_unique<UserKey>(target), outlet] { unwatch_at_home(*moved, outlet); });
    return;
  }
  Shard& shard = home(target);
  const auto found = shard.users.find(target);
  if (found != shard.users.end()) {
    std::erase_if(found->second->watchers, [outlet](const Watcher& one) { return one.connection.id == outlet; });
    shard.drop_if_empty(target);
  }
}

void Presence::add_commands(command::Table& table) {
  const auto watches_max = static_cast<int64_t>(options_->watches);
  const command::Field users{.name = "users", .type = FieldType::id_list, .required = true, .max = watches_max};
  table.add({.type = "watch",
             .summary = "Presence of these users, now and on every change",
             .fields = {users},
             .rate = command::Rate::signal,
             .handler = [this](Caller caller, Request request) {
               return watch(std::move(caller), std::move(request));
             }});
  table.add({.type = "unwatch",
             .summary = "No more presence of these users",
             .fields = {users},
             .rate = command::Rate::signal,
             .handler = [this](Caller caller, Request request) {
               return unwatch(std::move(caller), std::move(request));
             }});
  table.add({.method = "GET",
             .path = "/presence",
             .summary = "Presence of these users now",
             .fields = {{.name = "users", .type = FieldType::id_list, .required = true, .max = watches_max,
                         .where = command::Where::query}},
             .access = command::Access::scope,
             .handler = [this](Caller caller, Request request) {
               return list(std::move(caller), std::move(request));
             }});
}

Task<Result<Reply>> Presence::watch(Caller caller, Request request) {
  const UserKey self = caller.key();
  Connection connection;
  connection.id = caller.connection;
  connection.worker = caller.worker;
  std::vector<std::string> users = request.list("users");
  if (visibility_) {
    auto seen = co_await visibility_(self, users);
    if (!seen.ok()) {
      co_return seen.error();
    }
    for (size_t i = users.size(); i-- > 0;) {
      if (!(*seen)[i]) {
        // Looks like somebody who never comes online.
        sessions_.door().signal(connection, stream::Frame::text(to_json(View{users[i], false, 0, 0}, true)));
        users.erase(users.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
  }
  co_await sessions_.home_of(self).enter();
  const auto& mine = sessions_.connections_of(self);
  if (std::none_of(mine.begin(), mine.end(), [&](const Connection& one) { return one.id == connection.id; })) {
    co_return Reply{};  // the connection has ended
  }
  std::vector<UserKey>& watched = home(self).watches[connection.id];
  std::vector<UserKey> fresh;
  for (const std::string& user : users) {
    const UserKey target{self.tenant, UserId(user)};
    if (std::find(watched.begin(), watched.end(), target) == watched.end() &&
        std::find(fresh.begin(), fresh.end(), target) == fresh.end()) {
      fresh.push_back(target);
    }
  }
  if (watched.size() + fresh.size() > options_->watches) {
    co_return invalid_field("users", "a connection may watch " + std::to_string(options_->watches) + " users");
  }
  watched.insert(watched.end(), fresh.begin(), fresh.end());
  for (const std::string& user : users) {
    const UserKey target{self.tenant, UserId(user)};
    co_await sessions_.home_of(target).enter();
    UserState& state = home(target).state(target, home(target).is_connected(target));
    const bool known = std::any_of(state.watchers.begin(), state.watchers.end(),
                                   [&](const Watcher& one) { return one.connection.id == connection.id; });
    if (!known) {
      state.watchers.push_back({connection, self});
    }
    const View view = co_await view_of(target);
    sessions_.door().signal(connection, stream::Frame::text(to_json(view, true)));
  }
  // The connection may have ended while its watches were being noted.
  co_await sessions_.home_of(self).enter();
  const auto& now = sessions_.connections_of(self);
  if (std::none_of(now.begin(), now.end(), [&](const Connection& one) { return one.id == connection.id; })) {
    for (const std::string& user : users) {
      unwatch_at_home({self.tenant, UserId(user)}, connection.id);
    }
  }
  co_return Reply{};
}

Task<Result<Reply>> Presence::unwatch(Caller caller, Request request) {
  const UserKey self = caller.key();
  co_await sessions_.home_of(self).enter();
  Shard& shard = home(self);
  const auto found = shard.watches.find(caller.connection);
  for (const std::string& user : request.list("users")) {
    const UserKey target{self.tenant, UserId(user)};
    if (found != shard.watches.end()) {
      std::erase(found->second, target);
    }
    unwatch_at_home(target, caller.connection);
  }
  co_return Reply{};
}

Task<Result<Reply>> Presence::list(Caller caller, Request request) {
  const auto found = co_await views(caller.key(), request.list("users"));
  if (!found.ok()) {
    co_return found.error();
  }
  std::string list = "[";
  for (const View& view : *found) {
    list += list.size() > 1 ? "," : "";
    list += to_json(view, false);
  }
  Reply reply;
  JsonWriter(reply.data).begin().raw("presence", list + "]").end();
  co_return reply;
}

}  // namespace tidemark::presence
