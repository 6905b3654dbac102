// What the load generator says and what it hears: numbered messages, their answers, their deliveries.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "core/clock.h"
#include "core/random.h"
#include "core/result.h"

namespace tidemark::app {

inline constexpr size_t kPayloadBytesMin = 32;  // room for the stamp

// What the content of each message begins with; its number and when it was due to be sent.
struct Stamp {
  uint64_t number = 0;
  Instant due{};
};

// A content of at least kPayloadBytesMin bytes with a stamp in it.
std::string stamped_content(const Stamp& stamp, size_t payload_bytes);
// The stamp of a content that was made so, none if even one byte of it is not as it was made.
std::optional<Stamp> read_stamp(std::string_view content, size_t payload_bytes);

// The fields of a server's frame that matter here; empty or 0 where it has none. Views into the reader's buffer.
struct Incoming {
  std::string_view type;
  std::string_view id;
  std::string_view conversation_id;
  std::string_view content;
  std::string_view user_id;
  std::string_view code;   // of an error
  std::string_view error;  // its text
  int64_t seq = 0;
  bool is_typing = false;
};

// Owner: one thread. What read() returns is valid until the next read().
class IncomingReader {
 public:
  // unavailable if it is not a JSON object with a `type`.
  Result<Incoming> read(std::string_view frame);

 private:
  simdjson::dom::parser parser_;
};

// What to tell the operator about an `error` frame, with the way out if it is the rate limit.
Error refused_by_server(const Incoming& frame);

// The messages of one sender to one receiver.
//
// Owner: one thread. Promises: numbers from 0 upward and another UUID as `id` for each.
class MessageSource {
 public:
  // `address` is "to" or "conversation_id", `receiver` its value. `random` outlives this.
  MessageSource(std::string_view address, std::string_view receiver, size_t payload_bytes, Random& random);
  // Contents alone, which nobody answers.
  static MessageSource raw(size_t payload_bytes, Random& random) { return MessageSource(payload_bytes, random); }

  // The next message as JSON, valid until the next call.
  std::string_view next(Instant due);

  struct Answer {
    Stamp stamp;  // of the message
    int64_t seq = 0;
  };
  // Which message a frame to the sender answers; none if it is no `sent`. unavailable if it is an error, or answers
  // no message or one that was answered before.
  Result<std::optional<Answer>> answer(const Incoming& frame);

  uint64_t sent() const { return sent_; }
  uint64_t unanswered() const { return unanswered_.size(); }

 private:
  MessageSource(size_t payload_bytes, Random& random);

  struct Unanswered {
    std::string id;
    Stamp stamp;
  };

  Random& random_;
  std::string text_;
  size_t id_at_ = 0;  // 0: there is none
  size_t content_at_ = 0;
  uint64_t sent_ = 0;
  std::deque<Unanswered> unanswered_;
};

}  // namespace tidemark::app
