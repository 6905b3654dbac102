// Tails: the newest frames of the streams that a worker follows, so that nobody who is only a little behind has to read.
//
// Owner: its worker. Bounded by entries per stream, by age, and by the bytes of all of them: what a frame was compressed
// to or translated to counts too, once recount() was told. The oldest go first.
#pragma once

#include <deque>
#include <unordered_map>

#include "stream/fanout.h"

namespace tidemark::stream {

class Tails {
 public:
  using Streams = std::unordered_map<StreamId, LocalStream>;

  // `streams`: those of the worker. Both live longer.
  Tails(Streams& streams, const FanoutOptions& options) : streams_(streams), options_(options) {}

  // The frame of the entry that is the stream's head now.
  void keep(LocalStream& stream, const Frame& frame, Instant now);
  // Frames of the stream, from that entry on, were sent: other forms of them may have been made.
  void recount(LocalStream& stream, int64_t from_seq);
  // All of the stream: they are untrue, or nobody follows it any more.
  void drop(LocalStream& stream);
  // What was kept at `limit` or before.
  void drop_older(Instant limit);

  bool empty() const { return order_.empty(); }
  size_t bytes() const { return bytes_; }

 private:
  struct Place {
    StreamId id;
    int64_t seq;
    Instant since;
  };
  void shrink();
  void drop_oldest();
  void drop_front(LocalStream& stream);

  Streams& streams_;
  const FanoutOptions& options_;
  std::deque<Place> order_;  // in which they came; those that their stream has dropped already too
  size_t bytes_ = 0;
};

}  // namespace tidemark::stream
