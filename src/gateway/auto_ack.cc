#include "gateway/auto_ack.h"

#include <algorithm>

namespace tidemark::gateway {

void AutoAck::sent(const stream::StreamRef& stream, int64_t seq, Instant now) {
  if (waiting_.empty()) {
    first_ = now;
    entries_ = 0;
  }
  ++entries_;
  const auto known =
      std::find_if(waiting_.begin(), waiting_.end(), [&](const Sent& one) { return one.stream.id == stream.id; });
  if (known == waiting_.end()) {
    waiting_.push_back({stream, seq});
  } else {
    known->seq = std::max(known->seq, seq);
  }
}

std::optional<Instant> AutoAck::due() const {
  if (out_ || waiting_.empty()) {
    return std::nullopt;
  }
  return entries_ >= kEntries ? first_ : first_ + kDelay;
}

std::string AutoAck::begin_ping() {
  out_ = true;
  pinged_.swap(waiting_);
  waiting_.clear();
  return "a" + std::to_string(++number_);
}

std::vector<AutoAck::Sent> AutoAck::pong(std::string_view payload) {
  if (!out_ || payload != "a" + std::to_string(number_)) {
    return {};
  }
  out_ = false;
  std::vector<Sent> confirmed;
  confirmed.swap(pinged_);
  return confirmed;
}

}  // namespace tidemark::gateway
