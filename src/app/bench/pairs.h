// Many senders, each to one receiver: the engine of the scenarios direct and append.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>

#include "app/bench/message_source.h"
#include "app/bench/scenario.h"
#include "app/bench/sequence_check.h"

namespace tidemark::app {

enum class Traffic : uint8_t {
  messages,  // durable: answered to the writer, delivered to the reader
  appends,   // durable, of each user to themself: answered only
  typing,    // ephemeral: delivered to the reader, answered to nobody
  echo,      // raw dialect: what is sent comes back to the same connection
};

// What one sender said and what came of it. Pure: frames in, counts out. Owner: one thread.
class Pair {
 public:
  // `user` writes to `receiver`.
  Pair(Traffic traffic, std::string_view receiver, size_t payload_bytes, Random& random);

  // What to send next; valid until the next call.
  std::string_view next(Instant due);
  // A frame to the writer or to the reader. The latency's start, if it completes a message's way there; unavailable if
  // it is an error or says something that cannot be.
  Result<std::optional<Instant>> on_answer(const Incoming& frame);
  Result<std::optional<Instant>> on_delivery(const Incoming& frame);
  Result<std::optional<Instant>> on_echo(std::string_view frame);

  // Those whose way is complete: answered, delivered, or both.
  uint64_t done() const;
  uint64_t sent() const;
  uint64_t unanswered() const { return answered_here() ? source_.unanswered() : 0; }
  Violations violations() const { return delivered_here() ? check_.violations(sent()) : Violations{}; }

 private:
  bool answered_here() const { return traffic_ == Traffic::messages || traffic_ == Traffic::appends; }
  bool delivered_here() const { return traffic_ != Traffic::appends; }
  bool has_number(const Stamp& stamp, int64_t seq);
  Result<std::optional<Instant>> delivered(const Stamp& stamp);
  std::string_view next_typing(Instant due);
  Result<std::optional<Instant>> on_typing(const Incoming& frame);

  Traffic traffic_;
  size_t payload_bytes_;
  MessageSource source_;
  SequenceCheck check_;
  uint64_t delivered_ = 0;
  std::optional<int64_t> first_seq_;  // of message 0, as the first frame that tells
  std::string typing_[2];             // has ended, goes on
  uint64_t typing_sent_ = 0;
  std::deque<Stamp> typing_out_;      // not yet delivered
};

Result<Report> run_pairs(const BenchOptions& options, const Target& target, const Accounts& accounts, Traffic traffic);

}  // namespace tidemark::app
