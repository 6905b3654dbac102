#include "bus/redis_pipe.h"

#include <algorithm>
#include <utility>

namespace tidemark::bus {
namespace {

Error stopped() { return fail(Code::unavailable, "the node stops"); }

}  // namespace

RedisPipe::RedisPipe(Worker& worker, std::shared_ptr<const RedisTarget> target, Random& random, std::string purpose,
                     Events events)
    : worker_(worker),
      target_(target),
      events_(std::move(events)),
      dialer_(worker, target, random, std::move(purpose),
              {.up = [this] { came_up(); },
               .reply = [this](Reply reply) { take(std::move(reply)); },
               .down = [this](const Error& error) { went_down(error); }}),
      look_([](void* self) { static_cast<RedisPipe*>(self)->look(); }, this) {}

void RedisPipe::start() {
  running_ = true;
  dialer_.start();
  look_until(worker_.now() + target_->options.heartbeat);
}

void RedisPipe::stop() {
  running_ = false;
  dialer_.stop();
  worker_.cancel(look_);
  went_down(stopped());
  for (Waiting& waiting : std::exchange(waiting_, {})) {
    end_waiting(std::move(waiting), stopped());
  }
}

bool RedisPipe::request(const Command& command, Instant deadline, Done done) {
  worker_.assert_owner();
  if (!running_ || under_way() >= kRequestsMax) {
    return false;
  }
  if (dialer_.is_up()) {
    if (!dialer_.send(command.bytes())) {
      return false;
    }
    sent_.push_back({std::move(done), deadline});
  } else {
    if (waiting_bytes_ + command.bytes().size() > kWaitingBytesMax) {
      return false;
    }
    waiting_bytes_ += command.bytes().size();
    waiting_.push_back({command, std::move(done), deadline, target_->options.retries});
  }
  look_until(deadline);
  return true;
}

bool RedisPipe::post(const Command& command) {
  worker_.assert_owner();
  if (under_way() >= kRequestsMax || !dialer_.send(command.bytes())) {
    return false;
  }
  const Instant deadline = worker_.now() + target_->options.timeout;
  sent_.push_back({nullptr, deadline});
  look_until(deadline);
  return true;
}

void RedisPipe::came_up() {
  was_up_ = true;
  for (Waiting& waiting : std::exchange(waiting_, {})) {
    if (dialer_.send(waiting.command.bytes())) {
      sent_.push_back({std::move(waiting.done), waiting.deadline});
    } else {
      end_waiting(std::move(waiting), fail(Code::unavailable, "too much waits for Redis"));
    }
  }
  waiting_bytes_ = 0;
  if (events_.up) {
    events_.up();
  }
}

void RedisPipe::take(Reply reply) {
  if (sent_.empty()) {
    dialer_.drop("Redis sent a reply that nobody asked for");
    return;
  }
  const Done done = std::move(sent_.front().done);
  sent_.pop_front();
  const bool reconnect = asks_to_reconnect(reply);
  if (done) {
    done({std::move(reply), reconnect});
  } else if (refused_ && reply.is(Reply::Kind::error)) {
    refused_(reply);
  }
  if (reconnect) {
    dialer_.drop("Redis is no master, or not ready");
  }
}

void RedisPipe::went_down(const Error& error) {
  const Error lost = fail(Code::unavailable, "Redis did not answer: " + error.text);
  for (const Sent& sent : std::exchange(sent_, {})) {
    if (sent.done) {
      sent.done({lost, false});
    }
  }
  const bool was_up = std::exchange(was_up_, false);
  for (Waiting& waiting : std::exchange(waiting_, {})) {
    if (was_up || waiting.tries_left-- > 0) {
      waiting_.push_back(std::move(waiting));
    } else {
      end_waiting(std::move(waiting), fail(Code::unavailable, "Redis cannot be reached: " + error.text));
    }
  }
  if (was_up && events_.down) {
    events_.down();
  }
}

// What the oldest request waits for has not come in time; or nobody has asked anything for a while.
void RedisPipe::look() {
  const Instant now = worker_.now();
  while (!waiting_.empty() && waiting_.front().deadline <= now) {
    Waiting late = std::move(waiting_.front());
    waiting_.pop_front();
    end_waiting(std::move(late), fail(Code::unavailable, "no connection to Redis in time"));
  }
  if (!sent_.empty() && sent_.front().deadline <= now) {
    dialer_.drop("no answer within " + std::to_string(target_->options.timeout.count()) + " ms");
  }
  if (dialer_.is_up() && sent_.empty()) {
    post(Command("PING"));
  }
  look_until(now + target_->options.heartbeat);
  if (!sent_.empty()) {
    look_until(sent_.front().deadline);
  }
  if (!waiting_.empty()) {
    look_until(waiting_.front().deadline);
  }
}

void RedisPipe::look_until(Instant deadline) {
  if (!look_.armed() || deadline < look_at_) {
    look_at_ = deadline;
    worker_.arm(look_, std::max(deadline - worker_.now(), std::chrono::nanoseconds(0)));
  }
}

void RedisPipe::end_waiting(Waiting waiting, const Error& error) {
  waiting_bytes_ -= std::min(waiting_bytes_, waiting.command.bytes().size());
  if (waiting.done) {
    waiting.done({error, true});
  }
}

}  // namespace tidemark::bus
