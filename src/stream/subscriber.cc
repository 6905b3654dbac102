#include "stream/subscriber.h"

#include <algorithm>

#include "core/json.h"
#include "core/seeded_fault.h"

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
  if (!followed(request.key)) {
    add(request, false);
  }
}

void Subscriber::add(const FollowRequest& request, bool initial) {
  LocalStream& stream = engine_.fanout_.local_stream(request.ref, request.key, request.head, request.as_of);
  const bool expelled = std::any_of(stream.expelled.begin(), stream.expelled.end(), [&](const auto& one) {
    return one.user == outlet_.user() && request.head < one.seq;
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

Subscriber::CatchUp& Subscriber::catch_up() {
  if (!catch_up_) {
    catch_up_ = std::make_unique<CatchUp>();
  }
  return *catch_up_;
}

Subscriber::Lag* Subscriber::lag_of(StreamId id) {
  if (catch_up_) {
    for (Lag& lag : catch_up_->lags) {
      if (lag.stream->ref.id == id) {
        return &lag;
      }
    }
  }
  return nullptr;
}

Subscriber::Lag* Subscriber::next_lag() {
  for (Lag& lag : catch_up_->lags) {
    if (!lag.stream->joining && lag.position < std::max(lag.stream->head, lag.until) && may_send(lag)) {
      return &lag;
    }
  }
  return nullptr;
}

bool Subscriber::may_send(const Lag& lag) const {
  return !catch_up_->congested && !(lag.initial && catch_up_->unconfirmed.size() >= engine_.options_.window_entries);
}

void Subscriber::note_window() {
  const bool full = catch_up_->unconfirmed.size() >= engine_.options_.window_entries;
  if (full) {
    // A confirmation that leaves the window full still counts as life.
    catch_up_->window_full_since = Worker::current()->now();
  }
  catch_up_->window_full = full;
}

void Subscriber::end_lag(Lag& lag) {
  for (const Followed& one : followed_) {
    if (one.stream == lag.stream) {
      lag.stream->followers[one.index].lagging = false;
    }
  }
  drop_lag(lag.stream);
}

void Subscriber::drop_lag(const LocalStream* stream) {
  if (catch_up_) {
    std::erase_if(catch_up_->lags, [stream](const Lag& lag) { return lag.stream == stream; });
  }
}

void Subscriber::finish_if_done() {
  if (replaying_) {
    const bool pending = catch_up_ && std::any_of(catch_up_->lags.begin(), catch_up_->lags.end(),
                                                  [](const Lag& lag) { return lag.initial; });
    if (!pending) {
      replaying_ = false;
      events_.replay_finished();
    }
  }
  if (catch_up_ && catch_up_->lags.empty() && catch_up_->unconfirmed.empty() && !catch_up_->running) {
    catch_up_.reset();
  }
}

void Subscriber::start() {
  if (!catch_up_ || catch_up_->running || next_lag() == nullptr) {
    return;
  }
  if (!alive_) {
    alive_ = std::make_shared<Subscriber*>(this);
  }
  catch_up_->running = true;
  spawn(run(alive_));
}

// Reads and sends until nothing lags or nothing may be sent; then ends, and start() begins anew.
Task<> Subscriber::run(std::shared_ptr<Subscriber*> alive) {
  Engine& engine = (*alive)->engine_;
  Turnstile::Pass pass;
  for (;;) {
    Subscriber* self = *alive;
    Lag* lag = self->next_lag();
    if (lag == nullptr) {
      self->catch_up_->running = false;
      self->finish_if_done();
      if (!self->catch_up_) {
        self->alive_.reset();
      }
      co_return;
    }
    if (self->send_from_tail(*lag)) {
      self->finish_if_done();
      if (*alive == nullptr) {
        co_return;
      }
      continue;
    }
    if (!pass) {
      pass = co_await engine.turnstile_here().enter(engine.options_.reads, SIZE_MAX);
      if (*alive == nullptr) {
        co_return;
      }
      if (!pass) {
        (*alive)->catch_up_->running = false;  // the node ends
        co_return;
      }
      continue;  // much may have changed meanwhile
    }
    PageRequest request;
    request.id = lag->stream->ref.id;
    request.key = lag->stream->key;
    request.after = lag->position;
    request.until = std::max(lag->stream->head, lag->until);
    request.limit = self->engine_.options_.page_entries;
    request.bytes = self->engine_.options_.page_bytes;
    request.viewer = self->outlet_.user();
    const PageReader& reader = self->engine_.readers_[static_cast<size_t>(request.key.kind)];
    auto page = co_await engine.database_.read(
        [&reader, &request](storage::Transaction& tx) { return reader(tx, request); });
    pass = Turnstile::Pass();
    self = *alive;
    if (self == nullptr) {
      co_return;
    }
    if (!page.ok()) {
      self->catch_up_->running = false;
      self->events_.replay_failed(page.error());
      co_return;
    }
    if (page->entries.size() > 1 && TIDEMARK_FAULT(swap_two_seqs)) {
      std::swap(page->entries[0].frame, page->entries[1].frame);
    }
    lag = self->lag_of(request.id);
    // The stream may have been left and followed anew while the page was read.
    if (lag != nullptr && !lag->stream->joining && lag->position == request.after) {
      self->send_page(*lag, *page, request.until);
      self->finish_if_done();
      if (*alive == nullptr) {
        co_return;
      }
    }
  }
}

// True: everything up to the head was in memory (and has been sent, or the outlet is full).
bool Subscriber::send_from_tail(Lag& lag) {
  LocalStream& stream = *lag.stream;
  const int64_t first = stream.head - static_cast<int64_t>(stream.tail_size()) + 1;
  if (lag.position + 1 < first || lag.until > stream.head) {
    return false;
  }
  for (int64_t seq = lag.position + 1; seq <= stream.head; ++seq) {
    if (!send(lag, seq, (*stream.tail)[static_cast<size_t>(seq - first)].frame)) {
      return true;
    }
  }
  end_lag(lag);
  return true;
}

void Subscriber::send_page(Lag& lag, const Page& page, int64_t until) {
  for (const EncodedEntry& entry : page.entries) {
    // Entries below were removed by retention since the cursor was stored.
    if (entry.seq > lag.position + 1 && !send_gap(lag, entry.seq)) {
      return;
    }
    if (!send(lag, entry.seq, entry.frame)) {
      return;
    }
  }
  if (page.complete && lag.position < until && !send_gap(lag, until + 1)) {
    return;
  }
  settle(lag);
}

// A lag that has sent everything is over; one that is ahead of what this worker was told only waits for it.
void Subscriber::settle(Lag& lag) {
  if (lag.position < std::max(lag.stream->head, lag.until)) {
    return;
  }
  if (lag.position == lag.stream->head) {
    end_lag(lag);
  } else {
    lag.initial = false;
  }
}

// Announces that the entries before `next_seq` do not come. False: the outlet is full, nothing was announced.
bool Subscriber::send_gap(Lag& lag, int64_t next_seq) {
  if (!outlet_.deliver(lag.stream->ref, next_seq - 1, gap_frame(lag.stream->key, lag.position, next_seq))) {
    catch_up_->congested = true;
    return false;
  }
  lag.position = next_seq - 1;
  engine_.gaps_.add();
  return true;
}

bool Subscriber::send(Lag& lag, int64_t seq, const Frame& frame) {
  if (!may_send(lag)) {
    return false;
  }
  if (const auto own = std::find(lag.own.begin(), lag.own.end(), seq); own != lag.own.end()) {
    lag.own.erase(own);
    lag.position = seq;
    return true;
  }
  if (!outlet_.deliver(lag.stream->ref, seq, frame)) {
    catch_up_->congested = true;
    return false;
  }
  lag.position = seq;
  engine_.replayed_.add();
  if (lag.initial) {
    catch_up_->unconfirmed.emplace_back(lag.stream->ref.id, seq);
    note_window();
  }
  return true;
}

}  // namespace tidemark::stream
