#include "gateway/connection.h"

#include <algorithm>

#include "core/json.h"
#include "core/log.h"

namespace tidemark::gateway {
namespace {

constexpr uint64_t kByeDelayMs = 1000;

}  // namespace

Connection::Connection(Gateway& gateway, Worker& worker, StreamSocket socket, stream::OutletId id)
    : WebSocket(worker, std::move(socket), gateway.limits_->frames),
      gateway_(gateway),
      id_(id),
      beginning_(std::make_unique<Beginning>()),
      timer_(&Connection::on_timer, this) {}

Connection::~Connection() = default;

void Connection::start_anonymous(std::string bytes, Gateway::Wishes wishes) {
  state_ = State::anonymous;
  beginning_->wishes = std::move(wishes);
  beginning_->register_until = worker().now() + gateway_.limits_->register_timeout;
  send_text(welcome("welcome", nullptr));
  arm(beginning_->register_until);
  start(std::move(bytes));
}

void Connection::keep_early(std::string bytes) { beginning_->early = std::move(bytes); }

session::Connection Connection::home_entry() const {
  session::Connection entry;
  entry.id = id_;
  entry.worker = caller_.worker;
  entry.device = caller_.device;
  entry.named_device = caller_.named_device;
  entry.session = caller_.session;
  return entry;
}

void Connection::identify(command::Caller caller) {
  state_ = State::opening;
  caller_ = std::move(caller);
  user_ = caller_.key();
  touched_at_ = worker().now();
}

void Connection::go_live(Gateway::Opening opening, bool auto_ack, bool registered) {
  state_ = State::live;
  set_expiry(caller_.token_expires_at);
  if (auto_ack) {
    auto_ack_ = std::make_unique<AutoAck>();
  }
  send_text(welcome(registered ? "registered" : "welcome", &opening));
  for (const stream::Frame& gap : opening.gaps) {
    send(in_dialect(gap));
  }
  subscriber_ = std::make_unique<stream::Subscriber>(gateway_.parts_.engine, *this, *this);
  const std::unique_ptr<Beginning> beginning = std::move(beginning_);
  for (const auto& news : beginning->news) {
    if (const auto* key = std::get_if<stream::StreamKey>(&news)) {
      std::erase_if(opening.follows, [key](const stream::FollowRequest& one) { return one.key == *key; });
    } else {
      const auto& request = std::get<stream::FollowRequest>(news);
      const bool known = std::any_of(opening.follows.begin(), opening.follows.end(),
                                     [&](const stream::FollowRequest& one) { return one.key == request.key; });
      if (!known && opening.follows.size() <= gateway_.limits_->streams) {
        opening.follows.push_back(request);
      }
    }
  }
  subscriber_->begin(std::move(opening.follows));
  look_for_contacts({});
  check_time();
  if (registered) {
    resume(Hold::owner);
  } else {
    start(std::move(beginning->early));
  }
}

void Connection::follow(const stream::FollowRequest& request) {
  if (state_ == State::opening) {
    beginning_->news.emplace_back(request);
  } else if (subscriber_ && open() && subscriber_->followed_count() <= gateway_.limits_->streams) {
    subscriber_->follow(request);
    look_for_contacts({});
  }
}

void Connection::unfollow(const stream::StreamKey& key) {
  if (state_ == State::opening) {
    beginning_->news.emplace_back(key);
  } else if (subscriber_) {
    subscriber_->unfollow(key);
    look_for_contacts({});
  }
}

void Connection::replay_failed(const Error& error) {
  log_warn("gateway.replay_failed", {{"connection", static_cast<int64_t>(id_)}, {"error", row_of(error.code).name}});
  close_with(CloseCode::storage_unavailable);
}

void Connection::on_closed(CloseCode code) {
  worker().cancel(timer_);
  leave_stage();
  gateway_.forget(*this, code);
  // Not now: this may be called from inside the subscriber.
  worker().post([self = std::static_pointer_cast<Connection>(shared_from_this())] {
    self->subscriber_.reset();
    self->auto_ack_.reset();
  });
}

void Connection::close_with(CloseCode code, std::string_view reason) {
  if (!open()) {
    return;
  }
  const std::string_view text = reason.empty() ? reason_of(code) : reason;
  if (static_cast<int>(code) >= 4000) {
    const bool again = reconnects(code);
    std::string json;
    JsonWriter(json)
        .begin()
        .field("type", "bye")
        .field("code", static_cast<int>(code))
        .field("reason", text)
        .field("reconnect", again)
        .field("after_ms", again ? static_cast<int64_t>(gateway_.parts_.random.below(kByeDelayMs + 1)) : int64_t{0})
        .end();
    send_text(json);
  }
  close(code, text);
}

void Connection::drain_close() {
  if (inflight_ > 0) {
    drain_when_idle_ = true;
    pause(Hold::drain);
    return;
  }
  close_with(CloseCode::draining);
}

}  // namespace tidemark::gateway
