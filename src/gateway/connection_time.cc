// What a connection does when time passes: heartbeats, stalls, the end of its token.
#include <algorithm>

#include "gateway/connection.h"

namespace tidemark::gateway {
namespace {

constexpr auto kWindowCheck = std::chrono::seconds(5);

}  // namespace

void Connection::arm(Instant deadline) {
  if (armed_for_ != Instant{} && armed_for_ <= deadline && timer_.armed()) {
    return;
  }
  armed_for_ = deadline;
  const Instant now = worker().clock().now();
  worker().arm(timer_, std::max(deadline - now, std::chrono::nanoseconds(0)));
}

void Connection::on_timer(void* self) {
  auto& connection = *static_cast<Connection*>(self);
  const auto keep = connection.shared_from_this();
  connection.armed_for_ = {};
  connection.check_time();
}

// Does what is due and arms the timer for what comes next.
void Connection::check_time() {
  if (!open()) {
    return;
  }
  const Instant now = worker().clock().now();
  const GatewayOptions& options = gateway_.options_;
  const GatewayLimits& limits = *gateway_.limits_;
  if (state_ == State::anonymous) {
    if (now >= beginning_->register_until) {
      close_with(CloseCode::register_timeout);
      return;
    }
    arm(beginning_->register_until);
    return;
  }
  if (state_ != State::live) {
    return;
  }
  if (now >= expires_) {
    close_with(CloseCode::token_expired);
    return;
  }
  arm(expires_);
  look_if_due(now);
  if (queued_bytes() > 0 && now - last_progress() >= limits.write_stall) {
    close_with(CloseCode::slow_consumer);
    return;
  }
  if (queued_bytes() > 0) {
    arm(last_progress() + limits.write_stall);
  }
  if (subscriber_ && subscriber_->window_stalled(now)) {
    close_with(CloseCode::slow_consumer, "replayed entries were not confirmed");
    return;
  }
  if (subscriber_ && subscriber_->catching_up()) {
    arm(now + kWindowCheck);
  }
  if (is_held(Hold::queue)) {
    arm(now + options.heartbeat_interval);  // silent is only who is listened to
    return;
  }
  if (now - last_received() >= options.heartbeat_timeout) {
    close_with(CloseCode::heartbeat_lost);
    return;
  }
  if (now - last_received() >= options.heartbeat_interval && !pinged_) {
    pinged_ = true;
    send_ping("h");
  }
  arm(last_received() + (pinged_ ? options.heartbeat_timeout : options.heartbeat_interval));
  if (auto_ack_) {
    if (const auto due = auto_ack_->due()) {
      if (now >= *due) {
        send_ping(auto_ack_->begin_ping());
      } else {
        arm(*due);
      }
    }
  }
}

void Connection::send_ping(std::string_view payload) {
  pinged_at_ = worker().now();
  ping(payload);
}

}  // namespace tidemark::gateway
