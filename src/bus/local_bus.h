// LocalBus: the Bus of nodes that share a process: one node alone, which has nobody to talk to, or several in a test or
// a simulation. They meet in a LocalHub.
//
// Promises more than the Bus: nothing is lost, doubled or reordered, unless the hub is told to be away.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bus/bus.h"
#include "bus/bus_metrics.h"
#include "bus/envelope.h"
#include "core/worker.h"

namespace tidemark::bus {

class LocalBus;

// Any thread. Lives longer than the buses.
class LocalHub {
 public:
  // While it is away messages are dropped and every bus is degraded; when it is back, every subscription is told.
  void set_away(bool away);
  bool is_away() const;

 private:
  friend class LocalBus;
  // A subscription.
  struct Place {
    LocalBus* bus;
    Worker* worker;
    std::shared_ptr<const Receiver> receiver;
  };

  // False: it is away.
  bool publish(const LocalBus& from, std::string_view channel, const std::shared_ptr<const std::string>& bytes);
  void add(const std::string& channel, Place place);
  void remove(const std::string& channel, const Receiver& receiver);
  void remove_all(const LocalBus& bus);

  mutable std::mutex mutex_;
  bool away_ = false;                                              // guarded by mutex_
  std::map<std::string, std::vector<Place>, std::less<>> places_;  // guarded by mutex_; in the order of subscribing
};

class LocalBus final : public Bus {
 public:
  LocalBus(WorkerPool& workers, std::shared_ptr<LocalHub> hub, Identity identity, MetricRegistry& metrics);
  ~LocalBus() override;

  void publish(std::string_view channel, std::string_view payload) override;
  void subscribe(std::string_view channel, Receiver receiver) override;
  void unsubscribe(std::string_view channel) override;
  State state() const override { return hub_->is_away() ? State::degraded : State::up; }

 private:
  friend class LocalHub;
  // Shared with the call that is under way: a receiver may end its own subscription.
  using Receivers = std::map<std::string, std::shared_ptr<const Receiver>, std::less<>>;

  Receivers& here();
  // On the worker of the subscription, if it still is one.
  void tell_live(const std::string& channel, const Receiver& receiver);
  void deliver(const std::string& channel, const Receiver& receiver, const std::string& bytes);
  bool is_there(const std::string& channel, const Receiver& receiver);

  WorkerPool& workers_;
  const std::shared_ptr<LocalHub> hub_;
  const Identity identity_;
  BusMetrics metrics_;
  std::vector<Receivers> receivers_;  // by worker, touched only by it
};

}  // namespace tidemark::bus
