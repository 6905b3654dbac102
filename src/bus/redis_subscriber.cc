#include "bus/redis_subscriber.h"

#include "bus/redis_command.h"

namespace tidemark::bus {

RedisSubscriber::RedisSubscriber(Worker& worker, std::shared_ptr<const RedisTarget> target, Random& random,
                                 const Identity& self, BusMetrics& metrics, std::function<void()> changed)
    : worker_(worker),
      target_(target),
      self_(self),
      metrics_(metrics),
      changed_(std::move(changed)),
      dialer_(worker, target, random, "subscriptions",
              {.up = [this] { came_up(); },
               .reply = [this](const Reply& reply) { take(reply); },
               .down = [this](const Error&) { went_down(); }}),
      beat_([](void* self_pointer) { static_cast<RedisSubscriber*>(self_pointer)->beat(); }, this) {}

RedisSubscriber::~RedisSubscriber() { worker_.forget_flush(*this); }

void RedisSubscriber::start() {
  dialer_.start();
  worker_.arm(beat_, target_->options.heartbeat);
}

void RedisSubscriber::stop() {
  worker_.cancel(beat_);
  worker_.forget_flush(*this);
  dialer_.stop();
  went_down();
}

void RedisSubscriber::subscribe(std::string channel, Receiver receiver) {
  Node& node = *channels_.try_emplace(std::move(channel)).first;
  TIDEMARK_CHECK(!node.second.wanted);
  node.second.wanted = true;
  node.second.told = false;
  node.second.receiver = std::make_unique<Receiver>(std::move(receiver));
  enqueue(node);
}

void RedisSubscriber::unsubscribe(const std::string& channel) {
  const auto found = channels_.find(channel);
  if (found == channels_.end() || !found->second.wanted) {
    return;
  }
  found->second.wanted = false;
  found->second.receiver.reset();
  enqueue(*found);
}

void RedisSubscriber::enqueue(Node& node) {
  if (!node.second.queued) {
    node.second.queued = true;
    queue_.push_back(&node);
  }
  worker_.flush_later(*this);
}

void RedisSubscriber::forget_if_unused(Node& node) {
  const Channel& channel = node.second;
  if (!channel.wanted && !channel.subscribed && !channel.queued && channel.unconfirmed == 0 && &node != calling_) {
    channels_.erase(node.first);
  }
}

void RedisSubscriber::came_up() {
  was_up_ = true;
  asked_at_.reset();
  worker_.flush_later(*this);
  become_live_if_all_are();
}

void RedisSubscriber::went_down() {
  if (!std::exchange(was_up_, false)) {
    return;  // one more try has failed
  }
  metrics_.gaps.add();
  unconfirmed_ = 0;
  queue_.clear();
  for (auto at = channels_.begin(); at != channels_.end();) {
    Node& node = *at++;  // may be forgotten
    node.second.unconfirmed = 0;
    node.second.subscribed = false;
    node.second.told = false;
    node.second.queued = node.second.wanted;
    if (node.second.wanted) {
      queue_.push_back(&node);
    } else {
      forget_if_unused(node);
    }
  }
  if (std::exchange(live_, false)) {
    changed_();
  }
}

void RedisSubscriber::flush() {
  if (!dialer_.is_up()) {
    return;  // came_up() goes on
  }
  while (!queue_.empty() && unconfirmed_ < kUnconfirmedMax) {
    if (!send_batch()) {
      dialer_.drop("Redis takes nothing");
      return;
    }
  }
  become_live_if_all_are();
}

bool RedisSubscriber::send_batch() {
  std::vector<std::string_view> subscribe = {"SSUBSCRIBE"};
  std::vector<std::string_view> unsubscribe = {"SUNSUBSCRIBE"};
  while (!queue_.empty() && subscribe.size() + unsubscribe.size() < kBatch + 2) {
    Node& node = *queue_.front();
    queue_.pop_front();
    Channel& channel = node.second;
    channel.queued = false;
    if (channel.wanted == channel.subscribed) {
      tell_if_live(node);  // a new receiver of a channel that Redis knows
      forget_if_unused(node);
      continue;
    }
    channel.subscribed = channel.wanted;
    ++channel.unconfirmed;
    ++unconfirmed_;
    (channel.wanted ? subscribe : unsubscribe).push_back(node.first);
  }
  for (const auto& words : {subscribe, unsubscribe}) {
    if (words.size() > 1 && !dialer_.send(Command::of(words).bytes())) {
      return false;
    }
  }
  return true;
}

void RedisSubscriber::take(const Reply& reply) {
  const auto is_push = [&reply](std::string_view kind, size_t size) {
    return reply.elements.size() == size && reply.elements[0].text == kind;
  };
  if (is_push("smessage", 3)) {
    deliver(reply.elements[1].text, reply.elements[2].text);
  } else if (is_push("ssubscribe", 3)) {
    confirm(reply.elements[1].text, true);
  } else if (is_push("sunsubscribe", 3)) {
    confirm(reply.elements[1].text, false);
  } else if (reply.is(Reply::Kind::error)) {
    dialer_.drop(error_of(reply).text);
  } else if (!is_push("pong", 2) && !reply.is(Reply::Kind::status)) {
    dialer_.drop("Redis sent what no subscriber is sent");
  }
}

void RedisSubscriber::confirm(const std::string& name, bool subscribed) {
  const auto found = channels_.find(name);
  if (found == channels_.end()) {
    return;
  }
  Node& node = *found;
  Channel& channel = node.second;
  if (channel.unconfirmed > 0) {
    --channel.unconfirmed;
    --unconfirmed_;
  } else if (!subscribed) {
    channel.subscribed = false;  // Redis ended it by itself, as a cluster does when it moves a channel
    channel.told = false;
    enqueue(node);
    return;
  }
  tell_if_live(node);
  forget_if_unused(node);
  if (!queue_.empty()) {
    worker_.flush_later(*this);
  }
  become_live_if_all_are();
}

void RedisSubscriber::tell_if_live(Node& node) {
  Channel& channel = node.second;
  if (channel.told || channel.unconfirmed > 0 || !channel.wanted || !channel.subscribed) {
    return;
  }
  channel.told = true;
  call(node, [](const Receiver& receiver) {
    if (receiver.live) {
      receiver.live();
    }
  });
}

void RedisSubscriber::deliver(const std::string& name, std::string_view bytes) {
  const auto found = channels_.find(name);
  if (found == channels_.end() || !found->second.wanted) {
    return;  // ended while this was on its way
  }
  const auto read = unwrap(bytes);
  if (const auto* unreadable = std::get_if<Unreadable>(&read)) {
    (*unreadable == Unreadable::version ? metrics_.ignored_version : metrics_.ignored_malformed).add();
    return;
  }
  const Message& message = std::get<Message>(read);
  if (is_from(message, self_)) {
    return;
  }
  metrics_.received.add();
  Node& node = *found;  // stays where it is when others are subscribed
  call(node, [&message](const Receiver& receiver) { receiver.message(message); });
  forget_if_unused(node);
}

// A receiver may end its own subscription, and begin another: it is not in its place while it is called.
template <class Action>
void RedisSubscriber::call(Node& node, Action action) {
  std::unique_ptr<Receiver> receiver = std::move(node.second.receiver);
  calling_ = &node;
  action(*receiver);
  calling_ = nullptr;
  if (node.second.wanted && node.second.receiver == nullptr) {
    node.second.receiver = std::move(receiver);
  }
}

void RedisSubscriber::become_live_if_all_are() {
  if (!live_ && dialer_.is_up() && unconfirmed_ == 0 && queue_.empty()) {
    live_ = true;
    changed_();
  }
}

void RedisSubscriber::beat() {
  const Instant now = worker_.now();
  if (dialer_.is_up()) {
    if (!asked_at_ || dialer_.heard_at() > *asked_at_) {
      asked_at_ = now;
      dialer_.send(Command("PING").bytes());
    } else if (now - *asked_at_ >= target_->options.timeout) {
      dialer_.drop("no sign of life within " + std::to_string(target_->options.timeout.count()) + " ms");
    }
  }
  worker_.arm(beat_, target_->options.heartbeat);
}

}  // namespace tidemark::bus
