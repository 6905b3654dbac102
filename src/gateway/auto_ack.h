// AutoAck: confirms entries for clients that never say `ack`: what was sent before a WebSocket ping has arrived when its
// pong is back. Pure: it says when to ping and what a pong confirms.
//
// Owner: the connection. Holds one number per stream that has unconfirmed entries.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "stream/fanout.h"

namespace tidemark::gateway {

class AutoAck {
 public:
  static constexpr size_t kEntries = 64;  // a ping follows at the latest after so many entries
  static constexpr auto kDelay = std::chrono::milliseconds(100);  // or so long after one

  struct Sent {
    stream::StreamRef stream;
    int64_t seq = 0;
  };

  void sent(const stream::StreamRef& stream, int64_t seq, Instant now);
  // When a ping is to be sent at the latest; nothing while one is out or nothing waits.
  std::optional<Instant> due() const;
  // The payload of the ping to send now; what was sent so far waits for its pong.
  std::string begin_ping();
  // What the pong confirms; nothing if it answers another ping.
  std::vector<Sent> pong(std::string_view payload);

 private:
  std::vector<Sent> waiting_;  // sent since the last ping, the newest seq per stream
  std::vector<Sent> pinged_;   // sent before the ping that is out
  size_t entries_ = 0;
  Instant first_{};
  uint64_t number_ = 0;
  bool out_ = false;
};

}  // namespace tidemark::gateway
