// How a Subscriber comes from an old position to the head: from the frames in memory, or from the log, page by page.
#include <algorithm>

#include "core/seeded_fault.h"
#include "stream/subscriber.h"

namespace tidemark::stream {

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
    const int64_t since = lag->until;
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
    if (lag != nullptr && !lag->stream->joining && lag->position == request.after && lag->until == since) {
      if (page->forbidden) {
        // The log is ahead of the owner, whose expulsion is on its way here.
        self->expelled(*lag->stream);
      } else {
        self->send_page(*lag, *page, request.until);
        self->finish_if_done();
      }
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
  const int64_t from = lag.position + 1;
  bool sent = true;
  for (int64_t seq = from; seq <= stream.head && sent; ++seq) {
    sent = send(lag, seq, (*stream.tail)[static_cast<size_t>(seq - first)].frame);
  }
  engine_.fanout_.recount_tail(stream, from);
  if (sent) {
    end_lag(lag);
  }
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
  ++replayed_;
  if (lag.initial) {
    catch_up_->unconfirmed.emplace_back(lag.stream->ref.id, seq);
    note_window();
  }
  return true;
}

}  // namespace tidemark::stream
