// What Sessions is made of. Private to session_service.cc and session_connections.cc.
#pragma once

#include "session/session.h"

namespace tidemark::session {

inline constexpr auto kStoreActivityEvery = std::chrono::seconds(5);

// Owner: its worker, which is home to the users in it.
struct Sessions::Shard {
  Shard(Sessions& sessions, Worker& of)
      : self(sessions),
        worker(of),
        activity_timer([](void* context) { static_cast<Shard*>(context)->store(); }, this),
        expiry_timer([](void* context) { spawn(static_cast<Shard*>(context)->self.expire()); }, this) {}

  void store() { spawn(self.store_activity(this)); }

  Sessions& self;
  Worker& worker;
  std::unordered_map<UserKey, std::vector<Connection>> users;
  std::unordered_map<TenantId, Online> online;
  std::unordered_map<SessionId, int64_t> activity;  // newest, not stored yet
  Timer activity_timer;
  Timer expiry_timer;  // used by the first worker only: one timer for all sessions
};

}  // namespace tidemark::session
