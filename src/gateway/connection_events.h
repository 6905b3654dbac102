// What a connection of the event dialect has beside a native one. Private to Connection.
#pragma once

#include <string>
#include <vector>

#include "core/clock.h"
#include "gateway/event_dialect.h"

namespace tidemark::gateway {

struct EventSide {
  events::Said said;                  // of the command that is being taken or answered in this turn
  std::vector<std::string> contacts;  // sorted: those whose presence is watched for the client
  Instant look_at{};                  // when contacts are looked up again; none: they are not
  bool looking = false;
  std::chrono::seconds wait{0};  // until the next look after one that was refused; grows with each
};

}  // namespace tidemark::gateway
