// RedisBus: the Bus over Redis' sharded pub/sub.
//
// Every worker has two connections: one that publishes, and one for its subscriptions, so that a receiver is called on
// the worker where the bytes arrive. Nothing is shared between workers, but the count of those that are up.
//
// Channels are named "tidemark:DATABASE:channel", because Redis' channels, unlike its keys, belong to no database.
//
// Owner: made at wiring and goes after the workers have stopped. start() before or after they start, stop() before they
// stop.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "bus/bus.h"
#include "bus/bus_metrics.h"
#include "bus/envelope.h"
#include "bus/redis_options.h"
#include "core/random.h"
#include "core/worker.h"

namespace tidemark::bus {

class RedisBus final : public Bus {
 public:
  // `random` may be used from any thread.
  RedisBus(WorkerPool& workers, std::shared_ptr<const RedisTarget> target, Identity identity, Random& random,
           MetricRegistry& metrics);
  ~RedisBus() override;

  void start();
  void stop();  // from any thread; nothing is received any more

  void publish(std::string_view channel, std::string_view payload) override;
  void subscribe(std::string_view channel, Receiver receiver) override;
  void unsubscribe(std::string_view channel) override;
  State state() const override;

 private:
  struct Lane;

  Lane& here();
  std::string wire_name(std::string_view channel) const;

  WorkerPool& workers_;
  const Identity identity_;
  const std::string prefix_;
  BusMetrics metrics_;
  std::atomic<size_t> lanes_up_{0};
  std::vector<std::unique_ptr<Lane>> lanes_;  // by worker, touched only by it
};

}  // namespace tidemark::bus
