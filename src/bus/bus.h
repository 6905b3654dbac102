// Bus: messages between nodes. Each node subscribes to the channels of what its clients follow, and publishes what
// happened to all other nodes that subscribed.
//
// The guarantee is weak, and users are built for it: a message may be lost, may come twice, and messages may come in
// another order than they were published in. The log (storage) is the truth; a message makes its news faster.
//
// What is promised:
//  1. A receiver is told when its channel is live, the first time and after every time the bus was away: what was
//     published before then may be missing, what is published from then on is on its way. Whoever reads the log after
//     live() has therefore seen all or will be told.
//  2. A node never receives what it published itself.
//  3. A subscription that has ended receives nothing any more.
//  4. Nothing waits: what cannot be sent now is dropped and counted.
//
// Owner: a Bus is made at wiring and goes after the workers have stopped. publish(), subscribe() and unsubscribe() are
// called in a worker's turn. A subscription belongs to the worker that made it: its receiver is called there, never
// inside subscribe(), and only that worker can end it. state() may be called from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace tidemark::bus {

// Larger ones are dropped, by the sender and by the receiver.
inline constexpr size_t kPayloadBytesMax = 1024 * 1024;
inline constexpr size_t kChannelBytesMax = 512;

enum class State : uint8_t {
  up,        // every worker can publish, and is told what is published
  degraded,  // other nodes may hear nothing from here, or this one nothing from them
};

// Views are valid during the call. The payload is what another process wrote: untrusted.
struct Message {
  std::string_view payload;
  std::string_view node;  // who published it: `node.id`
  uint64_t boot = 0;      // and which run of that node
};

struct Receiver {
  std::function<void(const Message&)> message;
  std::function<void()> live;  // may be empty
};

class Bus {
 public:
  virtual ~Bus() = default;

  // To every other node that subscribed to the channel.
  virtual void publish(std::string_view channel, std::string_view payload) = 0;
  // A channel has at most one receiver on a worker. A receiver may be subscribed from inside another one or itself.
  virtual void subscribe(std::string_view channel, Receiver receiver) = 0;
  virtual void unsubscribe(std::string_view channel) = 0;

  virtual State state() const = 0;
};

}  // namespace tidemark::bus
