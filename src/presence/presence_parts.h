// What Presence is made of. Private to presence_service.cc and presence_watching.cc.
#pragma once

#include "presence/presence.h"

namespace tidemark::presence {

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

}  // namespace tidemark::presence
