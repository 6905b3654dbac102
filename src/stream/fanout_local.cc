// The followers' side of Fanout: what a worker does with what comes from the owner of a stream.
#include <algorithm>

#include "core/seeded_fault.h"
#include "stream/fanout_parts.h"
#include "stream/subscriber.h"

namespace tidemark::stream {

void Fanout::arrive(const Delivery& delivery) {
  WorkerState& worker = here();
  const auto found = worker.followed.find(delivery.stream.id);
  if (found == worker.followed.end()) {
    return;
  }
  LocalStream& stream = found->second;
  switch (delivery.kind) {
    case Delivery::Kind::signal:
      for (size_t i = 0; i < stream.followers.size(); ++i) {
        if (delivery.seq > 0 && (stream.followers[i].lagging || stream.head != delivery.seq)) {
          continue;  // it would say that the follower has what it has not got yet
        }
        Outlet& outlet = stream.followers[i].subscriber->outlet();
        if (outlet.outlet_id() != delivery.origin && !(delivery.user && delivery.user->user == outlet.user().user)) {
          outlet.signal(delivery.frame);
        }
      }
      return;
    case Delivery::Kind::expel:
      if (delivery.seq != INT64_MAX) {
        stream.expelled.push_back({*delivery.user, delivery.seq});
      }
      for (size_t i = stream.followers.size(); i-- > 0;) {
        Subscriber& subscriber = *stream.followers[i].subscriber;
        if (stream.followers[i].since < delivery.seq &&
            (delivery.user->user.empty() || subscriber.outlet().user() == *delivery.user)) {
          const bool last = stream.followers.size() == 1;
          subscriber.expelled(stream);
          if (last) {
            return;  // the stream is gone with its last follower
          }
        }
      }
      return;
    case Delivery::Kind::jump:
      jump(stream, delivery.seq);
      return;
    case Delivery::Kind::entry:
    case Delivery::Kind::rewrite:
      if (!stream.joining && delivery.seq == stream.head + 1) {
        hand_out(stream, delivery);
      } else {
        jump(stream, delivery.seq);
      }
  }
}

// The head is known to be at `seq`, without the entries up to it: followers read the log.
void Fanout::jump(LocalStream& stream, int64_t seq) {
  if (stream.joining || seq <= stream.head) {
    return;
  }
  const int64_t before = stream.head;
  here().tails.drop(stream);
  stream.head = seq;
  for (size_t i = 0; i < stream.followers.size(); ++i) {
    stream.followers[i].subscriber->missed(stream, stream.followers[i], before);
  }
}

void Fanout::hand_out(LocalStream& stream, const Delivery& delivery) {
  WorkerState& worker = here();
  if (delivery.kind == Delivery::Kind::rewrite) {
    worker.tails.drop(stream);
  }
  const int64_t before = stream.head;
  stream.head = delivery.seq;
  worker.tails.keep(stream, delivery.frame, worker.worker.now());
  if (!worker.forget_timer.armed()) {
    worker.worker.arm(worker.forget_timer, kRememberPublished);
  }
  for (size_t i = 0; i < stream.followers.size(); ++i) {
    LocalStream::Follower& follower = stream.followers[i];
    Subscriber& subscriber = *follower.subscriber;
    if (follower.lagging) {
      subscriber.head_moved(stream);
      continue;
    }
    if (delivery.origin != 0 && subscriber.outlet().outlet_id() == delivery.origin) {
      continue;
    }
    if (!subscriber.outlet().deliver(stream.ref, delivery.seq, delivery.frame)) {
      subscriber.fell_behind(stream, follower, before);
    }
    if (TIDEMARK_FAULT(deliver_twice)) {
      subscriber.outlet().deliver(stream.ref, delivery.seq, delivery.frame);
    }
  }
  deliveries_.add(stream.followers.size());
  worker.tails.recount(stream, stream.head);
}

void Fanout::recount_tail(LocalStream& stream, int64_t from_seq) { here().tails.recount(stream, from_seq); }

LocalStream& Fanout::local_stream(const StreamRef& ref, const StreamKey& key, int64_t head, Instant as_of) {
  WorkerState& worker = here();
  const auto [slot, fresh] = worker.followed.try_emplace(ref.id);
  LocalStream& stream = slot->second;
  if (fresh) {
    stream.ref = ref;
    stream.key = key;
    stream.head = head;
    stream.generation = ++worker.generation;
    workers_.at(ref.owner).post([this, ref, index = worker.worker.index(), generation = stream.generation, head, as_of] {
      join(ref, index, generation, head, as_of);
    });
  }
  return stream;
}

void Fanout::leave(LocalStream& stream) {
  WorkerState& worker = here();
  const StreamRef ref = stream.ref;
  worker.tails.drop(stream);
  worker.followed.erase(ref.id);
  workers_.at(ref.owner).post([this, ref, index = worker.worker.index()] { left(ref, index); });
}

void Fanout::joined(StreamId id, uint64_t generation, int64_t head) {
  WorkerState& worker = here();
  const auto found = worker.followed.find(id);
  if (found == worker.followed.end() || found->second.generation != generation) {
    return;
  }
  LocalStream& stream = found->second;
  stream.joining = false;
  stream.head = std::max(stream.head, head);
  // A follower may leave, and with the last one the stream goes: walk a copy.
  std::vector<Subscriber*> subscribers;
  for (const LocalStream::Follower& follower : stream.followers) {
    subscribers.push_back(follower.subscriber);
  }
  for (Subscriber* const subscriber : subscribers) {
    subscriber->stream_ready(stream);
  }
}

}  // namespace tidemark::stream
