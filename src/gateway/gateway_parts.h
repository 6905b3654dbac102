// What Gateway is made of. Private to gateway.cc and gateway_opening.cc.
#pragma once

#include "core/address.h"
#include "gateway/connection.h"
#include "gateway/gateway.h"

namespace tidemark::gateway {

// Owner: its worker. The connections that live there.
struct Gateway::Shard {
  Shard(Gateway& gateway, Worker& of)
      : self(gateway),
        worker(of),
        openings(of),
        drain_timer([](void* context) {
          auto& shard = *static_cast<Shard*>(context);
          shard.self.drain_step(shard);
        }, this) {}

  Gateway& self;
  Worker& worker;
  Turnstile openings;
  std::unordered_map<stream::OutletId, std::shared_ptr<Connection>> connections;
  std::vector<stream::OutletId> to_drain;
  std::vector<stream::OutletId> to_check;  // against the revocations
  bool abandoned = false;  // the node ends: nothing begins any more
  bool checking = false;
  bool check_again = false;
  double drain_per_step = 0;
  double drain_credit = 0;
  Timer drain_timer;
};

// A request on its way to becoming a connection.
struct Gateway::Admission {
  Admission(Addresses& all, Worker& at, Incoming request) : addresses(all), worker(at), incoming(std::move(request)) {}
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;
  ~Admission() {
    if (counted) {
      addresses.leave(address_group(incoming.client_ip));
    }
  }

  Addresses& addresses;
  Worker& worker;
  Incoming incoming;
  Wishes wishes;
  std::string key;          // Sec-WebSocket-Key
  std::string subprotocol;  // to answer with
  std::string token;
  bool may_register = false;  // /ws: the token may come later
  std::string extensions;     // to answer with
  bool counted = false;       // its address is
  bool events = false;        // it speaks the event dialect
};

}  // namespace tidemark::gateway
