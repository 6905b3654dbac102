#include <algorithm>

#include "core/json.h"
#include "core/seeded_fault.h"
#include "presence/presence_parts.h"

namespace tidemark::presence {

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

}  // namespace tidemark::presence
