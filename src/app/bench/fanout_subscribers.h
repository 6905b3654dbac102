// What the subscribers of a group have received, verified.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "app/bench/histogram.h"
#include "app/bench/message_source.h"
#include "app/bench/sequence_check.h"
#include "core/clock.h"
#include "core/result.h"

namespace tidemark::app {

// The subscribers of one thread. Pure: frames in, counts out.
//
// All subscribers get the same bytes for one message. So each frame is parsed and checked once, for the one it reaches
// first, and compared byte by byte for the others; that is all the time there is at millions of deliveries a second.
class FanoutSubscribers {
 public:
  struct Expectation {
    std::string conversation_id;
    int64_t first_seq = 1;  // of message 0; nobody else writes, so that the others follow without gaps
    size_t payload_bytes = 0;
    bool raw = false;  // frames are contents, with nothing around them
  };

  FanoutSubscribers(size_t count, Expectation expected);

  // A frame for `subscriber`, when `sent` messages have been sent. What is no message of the group is passed over.
  // unavailable if it is an error, or a message that was not sent like this.
  Status arrived(size_t subscriber, std::string_view frame, Instant received, uint64_t sent) {
    SequenceCheck& check = checks_[subscriber];
    const Known& known = known_[check.next() % kKnown];
    if (known.frame == frame) [[likely]] {
      note(check, known.stamp, received);
      return {};
    }
    return parse(check, frame, received, sent);
  }

  // All subscribers have got messages 0 to completed() - 1.
  uint64_t completed() const { return completed_; }
  uint64_t deliveries() const { return latency_.count(); }
  const Histogram& latency() const { return latency_; }
  Instant last_arrival() const { return last_arrival_; }
  // The final count when 0 to `sent` - 1 were sent.
  Violations violations(uint64_t sent) const;

 private:
  static constexpr size_t kKnown = 1024;  // a subscriber that lags further costs a parse for each frame

  struct Known {
    std::string frame;
    Stamp stamp;
  };

  Status parse_raw(SequenceCheck& check, std::string_view frame, Instant received, uint64_t sent);
  Status parse(SequenceCheck& check, std::string_view frame, Instant received, uint64_t sent);
  void note(SequenceCheck& check, const Stamp& stamp, Instant received);

  Expectation expected_;
  IncomingReader reader_;
  std::vector<SequenceCheck> checks_;
  std::vector<Known> known_;       // the frame of message n at n modulo kKnown
  std::deque<uint32_t> arrivals_;  // of messages completed_, completed_ + 1, …
  uint64_t completed_ = 0;
  Histogram latency_;
  Instant last_arrival_{};
};

}  // namespace tidemark::app
