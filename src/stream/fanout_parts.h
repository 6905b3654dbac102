// What Fanout is made of. Private to fanout.cc and fanout_local.cc.
#pragma once

#include <map>

#include "stream/fanout.h"
#include "stream/tails.h"

namespace tidemark::stream {

// Owners remember the heads of streams without followers for this long; a joiner's snapshot may be this old. Frames are
// kept as long.
inline constexpr auto kRememberPublished = std::chrono::seconds(10);

struct Fanout::Delivery {
  enum class Kind : uint8_t { entry, rewrite, jump, signal, expel };
  StreamRef stream;
  Kind kind = Kind::entry;
  int64_t seq = 0;
  OutletId origin = 0;
  Frame frame;
  std::optional<UserKey> user;  // signal: not to these; expel: these, or everybody if the id is empty
};

// Owner: the stream's owner worker.
struct Fanout::OwnerState {
  StreamId id{};
  int64_t head = -1;      // the last number that went out; -1: not known
  uint64_t workers = 0;   // bit set of the workers with followers
  Instant last_publish{};
  bool in_recent = false;
  // Came before a lower number did; nearly always nothing.
  using Parked = std::map<int64_t, Delivery>;
  std::unique_ptr<Parked> parked;
  RareList<Delivery, LocalStream::kExpelledMax> expelled;  // for those who join with an older snapshot; kept as long as the head is
};

// What one worker knows: the streams it owns, and those that its outlets follow.
struct Fanout::WorkerState {
  WorkerState(Fanout& fanout, Worker& of)
      : self(fanout),
        worker(of),
        forget_timer([](void* context) { static_cast<WorkerState*>(context)->forget(); }, this),
        hole_timer([](void* context) { static_cast<WorkerState*>(context)->repair(); }, this),
        tails(followed, fanout.options_) {}

  void forget() { self.forget_old(*this); }
  void repair() { self.repair_holes(*this); }

  Fanout& self;
  Worker& worker;
  Timer forget_timer;
  Timer hole_timer;

  std::unordered_map<StreamId, OwnerState> owned;
  struct Recent {
    StreamId id;
    Instant since;
  };
  std::deque<Recent> recent;       // owned streams that were published to, oldest first
  std::vector<StreamId> holes;     // owned streams that park entries

  Tails::Streams followed;
  Tails tails;
  uint64_t generation = 0;
};

}  // namespace tidemark::stream
