// What every message on the bus is wrapped in: a version, and who sent it.
//
//   byte 0            version, 1
//   bytes 1 to 8      boot id of the sender, big endian
//   byte 9            n, the length of its node id, 1 to 128
//   n bytes           node id
//   the rest          payload
//
// A node reads the version it writes and ignores others, so that old and new nodes run side by side for one release: a
// new version is read by one release before it is written by the next. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "bus/bus.h"

namespace tidemark::bus {

// One run of one node. A boot id is made at random, so that a node that was restarted is not mistaken for itself.
struct Identity {
  std::string node;  // a valid id (core/ids.h)
  uint64_t boot = 0;
};

enum class Unreadable : uint8_t { version, malformed };

std::string wrap(const Identity& sender, std::string_view payload);
// The message points into `bytes`.
std::variant<Message, Unreadable> unwrap(std::string_view bytes);

inline bool is_from(const Message& message, const Identity& node) {
  return message.boot == node.boot && message.node == node.node;
}

}  // namespace tidemark::bus
