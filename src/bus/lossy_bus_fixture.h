// For tests and simulations: a Bus that promises no more than the Bus does. What is published is dropped, doubled, and
// held back behind later messages, as a seed decides.
//
// Owner: as the Bus under it, which it does not own.
#pragma once

#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "bus/bus.h"
#include "core/random.h"

namespace tidemark::bus {

class LossyBus final : public Bus {
 public:
  // Of a hundred messages.
  struct Faults {
    unsigned dropped = 10;
    unsigned doubled = 10;
    unsigned delayed = 10;
  };
  static constexpr size_t kHeldMax = 64;  // of what is delayed

  LossyBus(Bus& under, uint64_t seed, Faults faults) : under_(under), faults_(faults), random_(seed) {}

  void publish(std::string_view channel, std::string_view payload) override {
    for (const Held& one : roll(channel, payload)) {
      under_.publish(one.channel, one.payload);
    }
  }
  void subscribe(std::string_view channel, Receiver receiver) override {
    under_.subscribe(channel, std::move(receiver));
  }
  void unsubscribe(std::string_view channel) override { under_.unsubscribe(channel); }
  State state() const override { return under_.state(); }

 private:
  struct Held {
    std::string channel;
    std::string payload;
  };

  // What is published instead, in this order.
  std::vector<Held> roll(std::string_view channel, std::string_view payload) {
    const std::lock_guard lock(mutex_);
    std::vector<Held> now;
    const Held message{std::string(channel), std::string(payload)};
    if (!happens(faults_.dropped)) {
      if (held_.size() < kHeldMax && happens(faults_.delayed)) {
        held_.push_back(message);
      } else {
        now.push_back(message);
      }
      if (happens(faults_.doubled)) {
        now.push_back(message);
      }
    }
    if (!held_.empty() && random_.below(4) == 0) {
      const size_t index = random_.below(held_.size());
      now.push_back(std::move(held_[index]));
      held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(index));
    }
    return now;
  }
  bool happens(unsigned percent) { return random_.below(100) < percent; }

  Bus& under_;
  const Faults faults_;
  std::mutex mutex_;
  SeededRandom random_;     // guarded by mutex_
  std::vector<Held> held_;  // guarded by mutex_
};

}  // namespace tidemark::bus
