// One document of a measurement: what its writers send, and whether everybody is told the same, all of it, in order.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "app/bench/document_author.h"
#include "app/bench/document_replica.h"
#include "app/bench/histogram.h"
#include "app/bench/sequence_check.h"
#include "core/clock.h"
#include "core/random.h"
#include "core/result.h"

namespace tidemark::app {

// Pure: frames in, frames and counts out. Owner: one thread.
//
// The connections that follow the document are its members; the first of them write, unless the writers come another
// way. All members get the same bytes for one event. So each frame is read and applied once, for the member that it
// reaches first, and compared byte by byte for the others: who was told the same in the same order has the same
// document.
class DocumentCheck {
 public:
  struct Options {
    std::string id;
    DocumentKind kind = DocumentKind::whiteboard;
    size_t members = 0;
    size_t writers = 0;
    bool writers_follow = true;  // they are members 0 to writers - 1
    size_t text_length = 0;
  };
  // `random` outlives this.
  DocumentCheck(Options options, Random& random);

  // What each member sends first.
  std::string subscribe() const;
  // Whether every member has been answered, and from one place on.
  bool all_subscribed() const { return subscribed_ == options_.members; }

  // The writer's next operation. Its author has seen what the document's members were told so far, and their own
  // operations. Both are valid until the next call.
  struct Next {
    std::string id;
    std::string_view type;
    std::string data;
    int64_t prev_version = 0;
  };
  const Next& make(size_t writer, Instant due);
  std::string_view next(size_t writer, Instant due);  // the same as a message

  // A frame to a member. unavailable if it is an error, or something that cannot be: a gap in the numbers, an operation
  // that nobody sent or that does not fit, another answer than what was told, two members who were told different
  // things.
  Status arrived(size_t member, std::string_view frame, Instant received);

  // The answer to an operation, where it does not come as a frame; unavailable as above.
  Status answered(const std::string& id, int64_t version, std::string_view status, Instant received);

  // Of a writer: not yet acknowledged and told to all members.
  uint64_t in_flight(size_t writer) const { return writers_[writer].in_flight; }
  uint64_t sent() const { return sent_; }
  uint64_t done() const { return sent_ - out_.size(); }
  uint64_t arrivals() const { return arrivals_; }  // answers and events, whoever they were for
  uint64_t unanswered() const { return unanswered_; }
  uint64_t deliveries() const { return deliveries_; }  // operations told, once for each member
  uint64_t conflicts() const { return conflicts_; }    // that the server found and settled
  Instant last_arrival() const { return last_arrival_; }
  const Histogram& ack_latency() const { return ack_latency_; }
  const Histogram& delivery_latency() const { return delivery_latency_; }  // to members other than the author
  // The final count.
  Violations violations() const;
  // Whether the server's document, the body of its GET, is byte for byte what the members were told.
  bool is_document(std::string_view body) const;

 private:
  struct Operation {
    size_t writer = 0;
    uint64_t number = 0;  // among the writer's
    Instant due{};
    size_t removed = 0;
    int64_t version = 0;  // as the first frame that tells
    bool answered = false;
    bool told = false;  // to all
  };
  using Out = std::unordered_map<std::string, Operation>;
  struct Event {
    std::string frame;
    size_t arrivals = 0;
    std::string operation;  // its id; empty: another event
    size_t writer = 0;
    Instant due{};
  };
  struct Writer {
    explicit Writer(const DocumentAuthor::Options& options) : author(options) {}
    DocumentAuthor author;
    SequenceCheck order;  // in which its operations were told
    uint64_t sent = 0;
    uint64_t in_flight = 0;
    size_t removed = 0;  // code points, by what was not told yet
  };

  Status read(size_t member, std::string_view frame, Instant received);
  Status on_subscribed(size_t member, simdjson::dom::element frame);
  Status on_event(size_t member, simdjson::dom::element frame, std::string_view text, Instant received);
  Status add_event(simdjson::dom::element frame, std::string_view text);
  Status add_operation(simdjson::dom::element operation, Event& event);
  void note(size_t member, uint64_t place, Instant received);
  Status has_version(Operation& operation, int64_t version) const;
  void finish_if_done(Out::iterator operation);

  const Options options_;
  Random& random_;
  SystemClock clock_;
  simdjson::dom::parser parser_;
  DocumentReplica replica_;
  int64_t version_ = 0;    // of the replica
  int64_t first_seq_ = 0;  // of the first event
  size_t subscribed_ = 0;
  std::vector<SequenceCheck> checks_;  // of the members; event `first_seq_` is number 0
  std::vector<Writer> writers_;
  Out out_;                   // operations on their way
  std::deque<Event> events_;  // from number `completed_` on
  uint64_t completed_ = 0;    // events that all members have
  Next next_;
  std::string text_;
  uint64_t sent_ = 0;
  uint64_t unanswered_ = 0;
  uint64_t arrivals_ = 0;
  uint64_t deliveries_ = 0;
  uint64_t conflicts_ = 0;
  Instant last_arrival_{};
  Histogram ack_latency_;
  Histogram delivery_latency_;
};

}  // namespace tidemark::app
