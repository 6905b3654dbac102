// What Gateway is made of. Private to gateway.cc and gateway_opening.cc.
#pragma once

#include "gateway/connection.h"
#include "gateway/gateway.h"

namespace tidemark::gateway {

// Owner: its worker. The connections that live there.
struct Gateway::Shard {
  Shard(Gateway& gateway, Worker& of)
      : self(gateway),
        worker(of),
        drain_timer([](void* context) {
          auto& shard = *static_cast<Shard*>(context);
          shard.self.drain_step(shard);
        }, this) {}

  Gateway& self;
  Worker& worker;
  std::unordered_map<stream::OutletId, std::shared_ptr<Connection>> connections;
  std::vector<stream::OutletId> to_drain;
  double drain_per_step = 0;
  double drain_credit = 0;
  Timer drain_timer;
};

struct Gateway::Admission {
  Worker& worker;
  Incoming incoming;
  Wishes wishes;
  std::string key;          // Sec-WebSocket-Key
  std::string subprotocol;  // to answer with
  std::string token;
  bool may_register = false;  // /ws: the token may come later
  std::string extensions;     // to answer with
};

}  // namespace tidemark::gateway
