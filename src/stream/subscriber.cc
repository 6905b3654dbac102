#include "stream/subscriber.h"

#include <algorithm>

#include "core/json.h"

namespace tidemark::stream {

Engine::Engine(Fanout& fanout, storage::Database& database, ReplayOptions options, MetricRegistry& metrics)
    : fanout_(fanout),
      database_(database),
      options_(options),
      replayed_(metrics.counter("tidemark_replayed_entries_total", "Entries sent from the log to lagging outlets.")),
      gaps_(metrics.counter("tidemark_replay_outcome_total", "Replays by outcome.", {{"outcome", "gap"}})),
      slow_(metrics.counter("tidemark_slow_consumers_total", "Times an outlet was too slow and went to the log.")) {
  for (int i = 0; i < fanout.workers().size(); ++i) {
    turnstiles_.push_back(std::make_unique<Turnstile>(fanout.workers().at(i)));
  }
}

std::string_view client_name(const StreamKey& key) {
  return key.kind == StreamKind::self ? std::string_view("@self") : std::string_view(key.name);
}

Frame gap_frame(const StreamKey& key, int64_t after_seq, int64_t next_seq) {
  std::string json;
  JsonWriter(json)
      .begin()
      .field("type", "gap")
      .field("conversation_id", client_name(key))
      .field("after_seq", after_seq)
      .field("next_seq", next_seq)
      .end();
  return Frame::text(json);
}

Subscriber::Subscriber(Engine& engine, Outlet& outlet, Events& events)
    : engine_(engine), outlet_(outlet), events_(events) {}

Subscriber::~Subscriber() {
  if (alive_) {
    *alive_ = nullptr;
  }
  while (!followed_.empty()) {
    remove(followed_.size() - 1);
  }
}

void Subscriber::begin(std::vector<FollowRequest> requests) {
  followed_.reserve(requests.size());
  for (const FollowRequest& request : requests) {
    add(request, true);
  }
  // Only now: a stream that is caught up from memory is done before the next one is added.
  replaying_ = true;
  finish_if_done();
}

void Subscriber::follow(const FollowRequest& request) {
  if (followed(request.key)) {
    return;
  }
  if (Worker::current()->now() - request.as_of > kSnapshotAgeMax) {
    // The stream may have been followed meanwhile, up to an expulsion that nobody remembers.
    events_.replay_failed(fail(Code::unavailable, "this worker stood still"));
    return;
  }
  add(request, false);
}

void Subscriber::add(const FollowRequest& request, bool initial) {
  LocalStream& stream = engine_.fanout_.local_stream(request.ref, request.key, request.head, request.as_of);
  const bool expelled = std::any_of(stream.expelled.begin(), stream.expelled.end(), [&](const auto& one) {
    return (one.user.user.empty() || one.user == outlet_.user()) && request.head < one.seq;
  });
  if (expelled) {
    return;  // it is followed by others here: a stream that nobody follows yet knows of nobody
  }
  // A position ahead of the head that this worker knows: the entries up to it are on their way here and are not needed.
  const bool ahead = !stream.joining && request.position > stream.head;
  const bool lagging = stream.joining || request.position != stream.head || request.head > stream.head;
  followed_.push_back({&stream, static_cast<uint32_t>(stream.followers.size())});
  stream.followers.push_back({this, static_cast<uint32_t>(followed_.size() - 1), lagging, request.head});
  if (lagging) {
    catch_up().lags.push_back({&stream, request.position, initial && !ahead, request.head, {}});
    if (!stream.joining) {
      start();
    }
  }
}

int64_t Subscriber::behind() const {
  int64_t entries = 0;
  if (catch_up_) {
    for (const Lag& lag : catch_up_->lags) {
      entries += std::max<int64_t>(std::max(lag.stream->head, lag.until) - lag.position, 0);
    }
  }
  return entries;
}

void Subscriber::unfollow(const StreamKey& key) {
  for (size_t slot = 0; slot < followed_.size(); ++slot) {
    if (followed_[slot].stream->key == key) {
      const StreamId id = followed_[slot].stream->ref.id;
      drop_lag(followed_[slot].stream);
      if (catch_up_) {
        // Nobody can confirm them any more.
        std::erase_if(catch_up_->unconfirmed, [id](const auto& sent) { return sent.first == id; });
        note_window();
      }
      remove(slot);
      start();
      finish_if_done();
      return;
    }
  }
}

// Takes the follower out of its stream's list and this list; the last of each moves into the hole.
void Subscriber::remove(size_t slot) {
  LocalStream& stream = *followed_[slot].stream;
  const uint32_t index = followed_[slot].index;
  stream.followers[index] = stream.followers.back();
  stream.followers.pop_back();
  if (index < stream.followers.size()) {
    const LocalStream::Follower& moved = stream.followers[index];
    moved.subscriber->followed_[moved.slot].index = index;
  }
  followed_[slot] = followed_.back();
  followed_.pop_back();
  if (slot < followed_.size()) {
    followed_[slot].stream->followers[followed_[slot].index].slot = static_cast<uint32_t>(slot);
  }
  if (stream.followers.empty()) {
    engine_.fanout_.leave(stream);
  }
}

std::optional<int64_t> Subscriber::head_of(const StreamKey& key) const {
  for (const Followed& one : followed_) {
    if (one.stream->key == key) {
      int64_t head = one.stream->head;
      if (catch_up_) {
        for (const Lag& lag : catch_up_->lags) {
          // Read from the log before this worker was told: the outlet has it and may confirm it.
          head = lag.stream == one.stream ? std::max(head, lag.position) : head;
        }
      }
      return head;
    }
  }
  return std::nullopt;
}

std::optional<StreamRef> Subscriber::followed(const StreamKey& key) const {
  for (const Followed& one : followed_) {
    if (one.stream->key == key) {
      return one.stream->ref;
    }
  }
  return std::nullopt;
}

const StreamKey* Subscriber::key_of(StreamId id) const {
  for (const Followed& one : followed_) {
    if (one.stream->ref.id == id) {
      return &one.stream->key;
    }
  }
  return nullptr;
}

bool Subscriber::is_live(StreamId id, int64_t seq) {
  for (const Followed& one : followed_) {
    if (one.stream->ref.id == id) {
      return one.stream->head >= seq && lag_of(id) == nullptr;
    }
  }
  return false;
}

void Subscriber::own_entry(StreamId id, int64_t seq) {
  Lag* const lag = lag_of(id);
  if (lag != nullptr && !lag->initial && seq > lag->position) {
    lag->own.push_back(seq);
  }
}

void Subscriber::fell_behind(LocalStream& stream, LocalStream::Follower& follower, int64_t position) {
  follower.lagging = true;
  CatchUp& catching = catch_up();
  catching.congested = true;
  catching.lags.push_back({&stream, position, false, 0, {}});
  engine_.slow_.add();
}

void Subscriber::missed(LocalStream& stream, LocalStream::Follower& follower, int64_t position) {
  if (!follower.lagging) {
    follower.lagging = true;
    catch_up().lags.push_back({&stream, position, false, 0, {}});
  }
  head_moved(stream);
}

// A lagging stream got a new head: whoever waited for it is there, or has something to read.
void Subscriber::head_moved(LocalStream& stream) {
  Lag* const lag = lag_of(stream.ref.id);
  if (lag != nullptr && lag->position == stream.head && lag->until <= stream.head) {
    end_lag(*lag);
    finish_if_done();
  } else {
    start();
  }
}

void Subscriber::stream_ready(LocalStream& stream) {
  head_moved(stream);
}

void Subscriber::expelled(LocalStream& stream) { unfollow(StreamKey(stream.key)); }

void Subscriber::confirm(StreamId id, int64_t seq) {
  if (!catch_up_ || catch_up_->unconfirmed.empty()) {
    return;
  }
  const size_t before = catch_up_->unconfirmed.size();
  std::erase_if(catch_up_->unconfirmed, [&](const auto& sent) { return sent.first == id && sent.second <= seq; });
  if (catch_up_->unconfirmed.size() < before) {
    note_window();
    start();
  }
  if (catch_up_ && catch_up_->lags.empty() && catch_up_->unconfirmed.empty() && !catch_up_->running) {
    catch_up_.reset();
  }
}

void Subscriber::resume() {
  if (catch_up_ && catch_up_->congested) {
    catch_up_->congested = false;
    start();
  }
}

bool Subscriber::window_stalled(Instant now) const {
  return catch_up_ && catch_up_->window_full && now - catch_up_->window_full_since > engine_.options_.window_stall;
}

}  // namespace tidemark::stream
