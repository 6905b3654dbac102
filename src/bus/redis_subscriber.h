// RedisSubscriber: one worker's subscriptions, over a connection of its own (sharded pub/sub, Redis 7).
//
// After a loss it subscribes again, in batches, so many at a time; each channel is told when Redis has confirmed it.
// The connection is asked for a sign of life, so that a server that has stopped is noticed within options.timeout and
// two heartbeats.
//
// Owner: its worker. start() once, stop() before it goes while the worker runs.
//
// Invariants:
//  1. A channel that is not as its user wants it, and could be changed now, is in queue_.
//  2. `unconfirmed` counts what was sent for a channel over this connection and has no answer. A channel is live when
//     it is wanted, was subscribed last, and nothing is unconfirmed: an answer to an older command is never taken for
//     the one to a newer.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "bus/bus.h"
#include "bus/bus_metrics.h"
#include "bus/envelope.h"
#include "bus/redis_dialer.h"

namespace tidemark::bus {

class RedisSubscriber final : public Flushable {
 public:
  // `changed` is called when is_live() has become another.
  RedisSubscriber(Worker& worker, std::shared_ptr<const RedisTarget> target, Random& random, const Identity& self,
                  BusMetrics& metrics, std::function<void()> changed);
  ~RedisSubscriber() override;

  void start();
  void stop();

  void subscribe(std::string channel, Receiver receiver);
  void unsubscribe(const std::string& channel);

  // It is connected, and everything that was subscribed when it was connected is live again.
  bool is_live() const { return live_; }
  size_t channels() const { return channels_.size(); }

 private:
  static constexpr size_t kBatch = 256;            // channels of one command
  static constexpr size_t kUnconfirmedMax = 4096;  // channels under way: what Redis' output buffer for us has to hold

  struct Channel {
    std::unique_ptr<Receiver> receiver;  // null while it is being called
    uint32_t unconfirmed = 0;
    bool wanted = false;
    bool subscribed = false;  // the last command that was sent
    bool told = false;        // the receiver: that it is live
    bool queued = false;
  };
  using Channels = std::unordered_map<std::string, Channel>;
  using Node = Channels::value_type;

  void came_up();
  void went_down();
  void take(const Reply& reply);
  void confirm(const std::string& name, bool subscribed);
  void tell_if_live(Node& node);
  void deliver(const std::string& name, std::string_view bytes);
  template <class Action>
  void call(Node& node, Action action);
  void enqueue(Node& node);
  void forget_if_unused(Node& node);
  void flush() override;
  bool send_batch();
  void become_live_if_all_are();
  void beat();

  Worker& worker_;
  const std::shared_ptr<const RedisTarget> target_;
  const Identity& self_;
  BusMetrics& metrics_;
  const std::function<void()> changed_;
  RedisDialer dialer_;

  Channels channels_;
  std::deque<Node*> queue_;
  size_t unconfirmed_ = 0;  // of all channels
  const Node* calling_ = nullptr;
  bool was_up_ = false;  // since the last loss
  bool live_ = false;

  Timer beat_;
  std::optional<Instant> asked_at_;  // for a sign of life, over this connection
};

}  // namespace tidemark::bus
