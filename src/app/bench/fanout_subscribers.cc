#include "app/bench/fanout_subscribers.h"

#include <optional>
#include <utility>

namespace tidemark::app {

FanoutSubscribers::FanoutSubscribers(size_t count, Expectation expected)
    : expected_(std::move(expected)), checks_(count), known_(kKnown) {}

Status FanoutSubscribers::parse(SequenceCheck& check, std::string_view frame, Instant received, uint64_t sent) {
  if (expected_.raw) {
    return parse_raw(check, frame, received, sent);
  }
  const Result<Incoming> fields = reader_.read(frame);
  if (!fields) {
    return fields.error();
  }
  if (fields->type == "error") {
    return refused_by_server(*fields);
  }
  if (fields->type != "message" || fields->conversation_id != expected_.conversation_id) {
    return {};
  }
  const std::optional<Stamp> stamp = read_stamp(fields->content, expected_.payload_bytes);
  if (!stamp || stamp->number >= sent || fields->seq != expected_.first_seq + static_cast<int64_t>(stamp->number)) {
    return fail(Code::unavailable, "a message arrived that was not sent like this: " + std::string(frame));
  }
  known_[stamp->number % kKnown] = {std::string(frame), *stamp};
  note(check, *stamp, received);
  return {};
}

// What is no content of this run is somebody else's, or a greeting.
Status FanoutSubscribers::parse_raw(SequenceCheck& check, std::string_view frame, Instant received, uint64_t sent) {
  const std::optional<Stamp> stamp = read_stamp(frame, expected_.payload_bytes);
  if (stamp && stamp->number < sent) {
    known_[stamp->number % kKnown] = {std::string(frame), *stamp};
    note(check, *stamp, received);
  }
  return {};
}

void FanoutSubscribers::note(SequenceCheck& check, const Stamp& stamp, Instant received) {
  if (!check.arrived(stamp.number)) {
    return;
  }
  latency_.record(received - stamp.due);
  last_arrival_ = received;
  const size_t place = stamp.number - completed_;
  if (place >= arrivals_.size()) {
    arrivals_.resize(place + 1);
  }
  ++arrivals_[place];
  while (!arrivals_.empty() && arrivals_.front() == checks_.size()) {
    arrivals_.pop_front();
    ++completed_;
  }
}

Violations FanoutSubscribers::violations(uint64_t sent) const {
  Violations all;
  for (const SequenceCheck& check : checks_) {
    all += check.violations(sent);
  }
  return all;
}

}  // namespace tidemark::app
