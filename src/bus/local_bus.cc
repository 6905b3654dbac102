#include "bus/local_bus.h"

#include <algorithm>

namespace tidemark::bus {

void LocalHub::set_away(bool away) {
  const std::lock_guard lock(mutex_);
  away_ = away;
  if (away) {
    return;
  }
  for (const auto& [channel, places] : places_) {
    for (const Place& place : places) {
      place.worker->post([place, name = channel] { place.bus->tell_live(name, *place.receiver); });
    }
  }
}

bool LocalHub::is_away() const {
  const std::lock_guard lock(mutex_);
  return away_;
}

// Posts under the lock, so that no bus goes meanwhile.
bool LocalHub::publish(const LocalBus& from, std::string_view channel,
                       const std::shared_ptr<const std::string>& bytes) {
  const std::lock_guard lock(mutex_);
  if (away_) {
    return false;
  }
  const auto found = places_.find(channel);
  if (found != places_.end()) {
    for (const Place& place : found->second) {
      if (place.bus != &from) {
        place.worker->post([place, name = found->first, bytes] { place.bus->deliver(name, *place.receiver, *bytes); });
      }
    }
  }
  return true;
}

void LocalHub::add(const std::string& channel, Place place) {
  const std::lock_guard lock(mutex_);
  places_[channel].push_back(place);
  if (!away_) {
    place.worker->post([place, channel] { place.bus->tell_live(channel, *place.receiver); });
  }
}

void LocalHub::remove(const std::string& channel, const Receiver& receiver) {
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(channel);
  std::erase_if(found->second, [&](const Place& one) { return one.receiver.get() == &receiver; });
  if (found->second.empty()) {
    places_.erase(found);
  }
}

void LocalHub::remove_all(const LocalBus& bus) {
  const std::lock_guard lock(mutex_);
  for (auto at = places_.begin(); at != places_.end();) {
    std::erase_if(at->second, [&](const Place& one) { return one.bus == &bus; });
    at = at->second.empty() ? places_.erase(at) : std::next(at);
  }
}

LocalBus::LocalBus(WorkerPool& workers, std::shared_ptr<LocalHub> hub, Identity identity, MetricRegistry& metrics)
    : workers_(workers),
      hub_(std::move(hub)),
      identity_(std::move(identity)),
      metrics_(metrics),
      receivers_(static_cast<size_t>(workers.size())) {}

LocalBus::~LocalBus() { hub_->remove_all(*this); }

LocalBus::Receivers& LocalBus::here() {
  Worker* const worker = Worker::current();
  TIDEMARK_CHECK(worker != nullptr && &worker->pool() == &workers_);
  return receivers_[static_cast<size_t>(worker->index())];
}

void LocalBus::publish(std::string_view channel, std::string_view payload) {
  TIDEMARK_CHECK(!channel.empty() && channel.size() <= kChannelBytesMax);
  if (payload.size() > kPayloadBytesMax) {
    metrics_.dropped_large.add();
    return;
  }
  const auto bytes = std::make_shared<const std::string>(wrap(identity_, payload));
  (hub_->publish(*this, channel, bytes) ? metrics_.published : metrics_.dropped_away).add();
}

void LocalBus::subscribe(std::string_view channel, Receiver receiver) {
  TIDEMARK_CHECK(!channel.empty() && channel.size() <= kChannelBytesMax);
  const std::string name(channel);
  const auto kept = std::make_shared<const Receiver>(std::move(receiver));
  TIDEMARK_CHECK(here().emplace(name, kept).second);
  hub_->add(name, {this, Worker::current(), kept});
}

void LocalBus::unsubscribe(std::string_view channel) {
  Receivers& receivers = here();
  const auto found = receivers.find(channel);
  if (found != receivers.end()) {
    hub_->remove(found->first, *found->second);
    receivers.erase(found);
  }
}

bool LocalBus::is_there(const std::string& channel, const Receiver& receiver) {
  const Receivers& receivers = here();
  const auto found = receivers.find(channel);
  return found != receivers.end() && found->second.get() == &receiver;
}

void LocalBus::tell_live(const std::string& channel, const Receiver& receiver) {
  if (is_there(channel, receiver) && receiver.live) {
    receiver.live();
  }
}

void LocalBus::deliver(const std::string& channel, const Receiver& receiver, const std::string& bytes) {
  if (!is_there(channel, receiver)) {
    return;  // ended while this was on its way
  }
  const auto message = unwrap(bytes);
  TIDEMARK_CHECK(std::holds_alternative<Message>(message));
  metrics_.received.add();
  receiver.message(std::get<Message>(message));
}

}  // namespace tidemark::bus
