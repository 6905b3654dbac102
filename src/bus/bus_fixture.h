// For tests: nodes with a bus each, and a subscription that writes down what it is told.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bus/local_bus.h"
#include "bus/redis_bus.h"
#include "core/random.h"
#include "core/worker_fixture.h"

namespace tidemark::bus {

// Touched by the worker of its subscription only; lives longer than its node.
struct Heard {
  int lives = 0;
  std::vector<std::string> payloads;
  std::string from;  // the last one: "node/boot"

  Receiver receiver() {
    return {.message =
                [this](const Message& message) {
                  payloads.emplace_back(message.payload);
                  from = std::string(message.node) + "/" + std::to_string(message.boot);
                },
            .live = [this] { ++lives; }};
  }
};

// A node with two workers.
class Node {
 public:
  Node(std::string name, const std::shared_ptr<LocalHub>& hub)
      : bus_(std::make_unique<LocalBus>(workers_, hub, Identity{std::move(name), 7}, metrics_)) {
    workers_.start();
  }
  Node(std::string name, const std::shared_ptr<const RedisTarget>& target) {
    auto redis = std::make_unique<RedisBus>(workers_, target, Identity{std::move(name), 7}, random_, metrics_);
    redis->start();
    stop_ = [bus = redis.get()] { bus->stop(); };
    bus_ = std::move(redis);
    workers_.start();
  }
  ~Node() {
    stop_();
    settle(workers_);
    workers_.stop_and_join();
  }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  Bus& bus() { return *bus_; }
  Worker& worker(int index) { return workers_.at(index); }
  WorkerPool& workers() { return workers_; }

  void publish(const std::string& channel, const std::string& payload, int worker = 0) {
    run_on(workers_.at(worker), [&] { bus_->publish(channel, payload); });
  }
  void subscribe(const std::string& channel, Heard& heard, int worker = 0) {
    run_on(workers_.at(worker), [&] { bus_->subscribe(channel, heard.receiver()); });
  }
  void unsubscribe(const std::string& channel, int worker = 0) {
    run_on(workers_.at(worker), [&] { bus_->unsubscribe(channel); });
  }
  bool hears(const Heard& heard, size_t messages, int worker = 0) {
    return eventually(workers_.at(worker), [&] { return heard.payloads.size() >= messages; });
  }
  bool is_live(const Heard& heard, int times = 1, int worker = 0) {
    return eventually(workers_.at(worker), [&] { return heard.lives >= times; });
  }
  bool becomes(State state) {
    return eventually(workers_.at(0), [&] { return bus_->state() == state; });
  }
  std::vector<std::string> payloads(const Heard& heard, int worker = 0) {
    return run_on(workers_.at(worker), [&] { return heard.payloads; });
  }
  uint64_t dropped(const char* reason) {
    return metrics_.counter("tidemark_bus_dropped_total", "", {{"reason", reason}}).value();
  }
  uint64_t ignored(const char* reason) {
    return metrics_.counter("tidemark_bus_ignored_total", "", {{"reason", reason}}).value();
  }
  uint64_t gaps() { return metrics_.counter("tidemark_bus_gaps_total", "").value(); }

 private:
  SystemClock clock_;
  SystemRandom random_;
  MetricRegistry metrics_;
  WorkerPool workers_{2, clock_};
  std::function<void()> stop_ = [] {};
  std::unique_ptr<Bus> bus_;
};

}  // namespace tidemark::bus
