#include "document/follower.h"

#include "document/encode.h"

namespace tidemark::document {

Follower::Follower(stream::Engine& engine, Worker& worker, stream::OutletId id, UserKey user, std::string subscriber_id,
                   Sink sink)
    : engine_(engine),
      worker_(worker),
      id_(id),
      user_(std::move(user)),
      subscriber_id_(std::move(subscriber_id)),
      sink_(std::move(sink)) {}

Follower::~Follower() = default;

void Follower::start() {
  worker_.assert_owner();
  if (ended_ || subscriber_) {
    return;
  }
  Event joined;
  joined.type = "user_joined";
  joined.doc_id = place_.doc_id;
  joined.user_id = user_.user.str();
  joined.timestamp = place_.time_ms;
  joined.data.emplace("subscriber_id", subscriber_id_);
  give(joined);
  subscriber_ = std::make_unique<stream::Subscriber>(engine_, *this, *this);
  subscriber_->follow(place_.request);
}

// What is only told carries the last stored event's numbers: whoever resumes from them misses nothing.
bool Follower::give(Event& event) {
  if (event.seq == 0) {
    event.seq = place_.request.position;
    event.version = place_.version;
    event.id = subscriber_id_ + '.' + std::to_string(++told_);
  }
  return sink_.event(event);
}

bool Follower::deliver(const stream::StreamRef& stream, int64_t seq, const stream::Frame& frame) {
  if (ended_ || ending_) {
    return true;
  }
  auto event = event_of(frame.payload());
  if (!event) {
    // A gap: what this follower still had to read is no longer kept.
    end_later(Error{Code::stale_version, "events after the last one are no longer kept", "from_seq", 0});
    return true;
  }
  if (!give(*event)) {
    if (subscriber_ == nullptr || !subscriber_->is_live(stream.id, seq)) {
      return false;
    }
    end_later(fail(Code::unavailable, "too slow: subscribe again from the last seq"));
    return true;
  }
  place_.request.position = seq;
  place_.version = event->version;
  return true;
}

void Follower::signal(const stream::Frame& frame) {
  if (ended_ || ending_) {
    return;
  }
  auto event = event_of(frame.payload());
  if (event) {
    event->seq = 0;
    give(*event);  // may be lost
  }
}

void Follower::resume() {
  worker_.assert_owner();
  if (subscriber_) {
    subscriber_->resume();
  }
}

// Not now: this may be called from inside the subscriber.
void Follower::end_later(Error error) {
  if (!std::exchange(ending_, true)) {
    worker_.post([self = shared_from_this(), error = std::make_unique<Error>(std::move(error))] { self->end(*error); });
  }
}

void Follower::end(const std::optional<Error>& error) {
  worker_.assert_owner();
  if (std::exchange(ended_, true)) {
    return;
  }
  subscriber_.reset();
  if (on_drop) {
    on_drop();
  }
  sink_.ended(error);
  sink_ = {};
}

void Follower::drop() {
  worker_.assert_owner();
  if (std::exchange(ended_, true)) {
    return;
  }
  subscriber_.reset();
  sink_ = {};
  if (on_drop) {
    on_drop();
  }
}

Subscription::Subscription(std::shared_ptr<Follower> follower) : follower_(std::move(follower)) {}
Subscription::~Subscription() {
  if (follower_) {
    follower_->drop();
  }
}
const std::string& Subscription::id() const { return follower_->subscriber_id(); }
void Subscription::start() { follower_->start(); }
void Subscription::resume() { follower_->resume(); }

}  // namespace tidemark::document
