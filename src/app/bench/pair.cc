#include <algorithm>

#include "app/bench/pairs.h"
#include "core/json.h"

namespace tidemark::app {

Pair::Pair(Traffic traffic, std::string_view receiver, size_t payload_bytes, Random& random)
    : traffic_(traffic),
      payload_bytes_(payload_bytes),
      source_(traffic == Traffic::echo ? MessageSource::raw(payload_bytes, random)
                                       : MessageSource("to", receiver, payload_bytes, random)) {
  if (traffic == Traffic::typing) {
    for (const bool goes_on : {false, true}) {
      JsonWriter(typing_[goes_on]).begin().field("type", "typing").field("to", receiver).field("is_typing", goes_on).end();
    }
  }
}

uint64_t Pair::sent() const { return traffic_ == Traffic::typing ? typing_sent_ : source_.sent(); }

uint64_t Pair::done() const {
  const uint64_t answered = source_.sent() - source_.unanswered();
  switch (traffic_) {
    case Traffic::messages: return std::min(delivered_, answered);
    case Traffic::appends: return answered;
    default: return delivered_;
  }
}

std::string_view Pair::next(Instant due) {
  return traffic_ == Traffic::typing ? next_typing(due) : source_.next(due);
}

// Signals carry no number. They say yes and no in turn, so that one that is lost, doubled or out of order shows.
std::string_view Pair::next_typing(Instant due) {
  const Stamp stamp{typing_sent_++, due};
  typing_out_.push_back(stamp);
  return typing_[stamp.number % 2 == 0];
}

bool Pair::has_number(const Stamp& stamp, int64_t seq) {
  const int64_t first = seq - static_cast<int64_t>(stamp.number);
  return first == first_seq_.value_or(first) && (first_seq_ = first, true);
}

Result<std::optional<Instant>> Pair::on_answer(const Incoming& frame) {
  const auto answer = source_.answer(frame);
  if (!answer) {
    return answer.error();
  }
  if (!answer->has_value()) {
    return std::optional<Instant>();
  }
  const Stamp& stamp = (*answer)->stamp;
  if (!has_number(stamp, frame.seq)) {
    return fail(Code::unavailable, "the sequence of a conversation has a gap");
  }
  return std::optional(stamp.due);
}

Result<std::optional<Instant>> Pair::on_delivery(const Incoming& frame) {
  if (frame.type == "error") {
    return refused_by_server(frame);
  }
  if (traffic_ == Traffic::typing) {
    return on_typing(frame);
  }
  if (frame.type != "message") {
    return std::optional<Instant>();
  }
  const std::optional<Stamp> stamp = read_stamp(frame.content, payload_bytes_);
  if (!stamp || stamp->number >= source_.sent() || !has_number(*stamp, frame.seq)) {
    return fail(Code::unavailable, "a message arrived that was not sent like this");
  }
  return delivered(*stamp);
}

Result<std::optional<Instant>> Pair::on_echo(std::string_view frame) {
  const std::optional<Stamp> stamp = read_stamp(frame, payload_bytes_);
  return stamp && stamp->number < source_.sent() ? delivered(*stamp) : std::optional<Instant>();
}

Result<std::optional<Instant>> Pair::on_typing(const Incoming& frame) {
  if (frame.type != "typing") {
    return std::optional<Instant>();
  }
  // The next one that says the same; those before it are lost.
  while (!typing_out_.empty() && (typing_out_.front().number % 2 == 0) != frame.is_typing) {
    typing_out_.pop_front();
  }
  if (typing_out_.empty()) {
    return fail(Code::unavailable, "a signal arrived that was not sent");
  }
  const Stamp stamp = typing_out_.front();
  typing_out_.pop_front();
  return delivered(stamp);
}

Result<std::optional<Instant>> Pair::delivered(const Stamp& stamp) {
  if (!check_.arrived(stamp.number)) {
    return std::optional<Instant>();
  }
  ++delivered_;
  return std::optional(stamp.due);
}

}  // namespace tidemark::app
