// What a connection is sent: entries, signals, and what becomes of them when it does not read.
#include "gateway/connection.h"

namespace tidemark::gateway {

void Connection::signal(const stream::Frame& frame) {
  if (state_ != State::live) {
    return;
  }
  // What may be lost is lost first: a quarter of the queue is enough for it.
  if (queued_bytes() > 0 && (queued_bytes() > gateway_.limits_->queue_bytes / 4 || gateway_.queues_full(worker()))) {
    gateway_.signals_dropped_.add();
    enter_stage(Stage::dropping);
    return;
  }
  gateway_.sent_.add();
  if (events_) {
    send(in_dialect(frame));
  } else {
    send(frame);
  }
}

void Connection::enter_stage(Stage stage) {
  if (open() && stage_ < stage) {
    leave_stage();
    ask_drained();
    stage_ = stage;
    (stage == Stage::dropping ? gateway_.dropping_ : gateway_.lagging_).add(1);
  }
}

void Connection::leave_stage() {
  if (stage_ != Stage::flowing) {
    (stage_ == Stage::dropping ? gateway_.dropping_ : gateway_.lagging_).add(-1);
    stage_ = Stage::flowing;
  }
}

stream::Frame Connection::in_dialect(const stream::Frame& frame) const {
  return events_ ? frame.translated(&events::from_native) : frame;
}

bool Connection::deliver(const stream::StreamRef& stream, int64_t seq, const stream::Frame& frame) {
  if (!events_) {
    return queue_entry(stream, seq, frame);
  }
  const stream::Frame translated = in_dialect(frame);
  const bool taken = queue_entry(stream, seq, translated);
  if (taken) {
    note_membership(translated);
  }
  return taken;
}

bool Connection::queue_entry(const stream::StreamRef& stream, int64_t seq, const stream::Frame& frame) {
  if (queued_bytes() > 0 && (queued_bytes() + frame.size() > gateway_.limits_->queue_bytes ||
                             gateway_.queues_full(worker()))) {
    enter_stage(Stage::lagging);
    return false;
  }
  gateway_.sent_.add();
  send(frame);
  if (auto_ack_) {
    auto_ack_->sent(stream, seq, worker().now());
    if (const auto due = auto_ack_->due()) {
      arm(*due);
    }
  }
  return true;
}

void Connection::send_text(const std::string& json) {
  gateway_.sent_.add();
  send(stream::Frame::text(events_ ? events::from_native(json, {}) : json));
}

void Connection::replay_finished() { send_text("{\"type\":\"synced\"}"); }

void Connection::on_drained() {
  leave_stage();
  if (subscriber_) {
    subscriber_->resume();
  }
}

void Connection::on_blocked() { arm(worker().now() + gateway_.limits_->write_stall); }

}  // namespace tidemark::gateway
