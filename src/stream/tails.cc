#include "stream/tails.h"

#include <algorithm>

namespace tidemark::stream {
namespace {

constexpr size_t kBytesPerPlace = 128;  // the order is bounded as if each frame had at least so many

int64_t first_kept(const LocalStream& stream) { return stream.head - static_cast<int64_t>(stream.tail_size()) + 1; }

}  // namespace

void Tails::keep(LocalStream& stream, const Frame& frame, Instant now) {
  if (stream.tail == nullptr) {
    stream.tail = std::make_unique<std::deque<LocalStream::Kept>>();
  }
  stream.tail->push_back({frame, frame.bytes_held()});
  bytes_ += stream.tail->back().bytes;
  if (stream.tail->size() > options_.tail_entries) {
    drop_front(stream);
  }
  order_.push_back({stream.ref.id, stream.head, now});
  shrink();
}

void Tails::recount(LocalStream& stream, int64_t from_seq) {
  for (int64_t seq = std::max(from_seq, first_kept(stream)); seq <= stream.head; ++seq) {
    LocalStream::Kept& kept = (*stream.tail)[static_cast<size_t>(seq - first_kept(stream))];
    const size_t bytes = kept.frame.bytes_held();
    bytes_ += bytes - kept.bytes;  // it only grows
    kept.bytes = bytes;
  }
  shrink();
}

void Tails::drop(LocalStream& stream) {
  while (stream.tail != nullptr) {
    drop_front(stream);
  }
}

void Tails::drop_older(Instant limit) {
  while (!order_.empty() && order_.front().since <= limit) {
    drop_oldest();
  }
}

void Tails::shrink() {
  while (!order_.empty() && (bytes_ > options_.tail_bytes || order_.size() > options_.tail_bytes / kBytesPerPlace)) {
    drop_oldest();
  }
}

void Tails::drop_oldest() {
  const Place oldest = order_.front();
  order_.pop_front();
  const auto found = streams_.find(oldest.id);
  if (found != streams_.end() && found->second.tail != nullptr && first_kept(found->second) == oldest.seq) {
    drop_front(found->second);
  }
}

void Tails::drop_front(LocalStream& stream) {
  bytes_ -= stream.tail->front().bytes;
  stream.tail->pop_front();
  if (stream.tail->empty()) {
    stream.tail.reset();
  }
}

}  // namespace tidemark::stream
