#include "bus/redis_bus.h"

#include "bus/redis_pipe.h"
#include "bus/redis_subscriber.h"
#include "core/log.h"

namespace tidemark::bus {

// What one worker has.
struct RedisBus::Lane {
  Lane(RedisBus& of, Worker& on, const std::shared_ptr<const RedisTarget>& target, Random& random)
      : bus(of),
        worker(on),
        publisher(on, target, random, "publishing", {.up = [this] { look(); }, .down = [this] { look(); }}),
        subscriber(on, target, random, of.identity_, of.metrics_, [this] { look(); }) {
    publisher.on_refused([this](const Reply& reply) { refused(reply); });
  }

  void look() {
    const bool now_up = publisher.is_up() && subscriber.is_live();
    if (now_up != up) {
      up = now_up;
      bus.lanes_up_ += up ? 1 : size_t{0} - 1;
    }
  }

  // Once per connection: each message would say the same.
  void refused(const Reply& reply) {
    if (const std::string text = error_of(reply).text; text != last_refusal) {
      last_refusal = text;
      log_warn("bus.publish_refused", {{"worker", worker.index()}, {"reason", text}});
    }
  }

  RedisBus& bus;
  Worker& worker;
  RedisPipe publisher;
  RedisSubscriber subscriber;
  bool up = false;
  std::string last_refusal;
};

RedisBus::RedisBus(WorkerPool& workers, std::shared_ptr<const RedisTarget> target, Identity identity, Random& random,
                   MetricRegistry& metrics)
    : workers_(workers),
      identity_(std::move(identity)),
      prefix_("tidemark:" + std::to_string(target->options.database) + ":"),
      metrics_(metrics) {
  for (int i = 0; i < workers.size(); ++i) {
    lanes_.push_back(std::make_unique<Lane>(*this, workers.at(i), target, random));
  }
}

RedisBus::~RedisBus() = default;

void RedisBus::start() {
  for (const auto& lane : lanes_) {
    lane->worker.post([&lane = *lane] {
      lane.publisher.start();
      lane.subscriber.start();
    });
  }
}

void RedisBus::stop() {
  for (const auto& lane : lanes_) {
    lane->worker.post([&lane = *lane] {
      lane.publisher.stop();
      lane.subscriber.stop();
    });
  }
}

RedisBus::Lane& RedisBus::here() {
  Worker* const worker = Worker::current();
  TIDEMARK_CHECK(worker != nullptr && &worker->pool() == &workers_);
  return *lanes_[static_cast<size_t>(worker->index())];
}

std::string RedisBus::wire_name(std::string_view channel) const {
  TIDEMARK_CHECK(!channel.empty() && channel.size() <= kChannelBytesMax);
  std::string name;
  name.reserve(prefix_.size() + channel.size());
  name += prefix_;
  name += channel;
  return name;
}

void RedisBus::publish(std::string_view channel, std::string_view payload) {
  const std::string name = wire_name(channel);
  if (payload.size() > kPayloadBytesMax) {
    metrics_.dropped_large.add();
    return;
  }
  RedisPipe& publisher = here().publisher;
  if (!publisher.is_up()) {
    metrics_.dropped_away.add();
  } else if (!publisher.post(Command("SPUBLISH", name, wrap(identity_, payload)))) {
    metrics_.dropped_full.add();
  } else {
    metrics_.published.add();
  }
}

void RedisBus::subscribe(std::string_view channel, Receiver receiver) {
  here().subscriber.subscribe(wire_name(channel), std::move(receiver));
}

void RedisBus::unsubscribe(std::string_view channel) { here().subscriber.unsubscribe(wire_name(channel)); }

State RedisBus::state() const { return lanes_up_ == lanes_.size() ? State::up : State::degraded; }

}  // namespace tidemark::bus
