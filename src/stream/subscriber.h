// Subscriber: what one outlet follows, and its way from an old cursor to the head.
//
// Owner: the outlet's worker. Made with the outlet, gone before it.
//
// A follower that is not lagging gets entries from Fanout as they come. A lagging one has one number, its position, and
// the log is read from there, a page at a time, until the head; then it is live. Coming back after a week, being too
// slow, and a lost entry are this one path. One page is in flight per outlet, so its memory is bounded.
//
// Promises: per stream every entry after the position once, in order, none of them before those below it, or a gap.
// Does not promise an order between streams.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "core/turnstile.h"
#include "stream/fanout.h"

namespace tidemark::stream {

struct EncodedEntry {
  int64_t seq = 0;
  Frame frame;
};

// How a room reads its kind of stream: entries after `after` up to `until`, ascending, encoded for the viewer: at most
// `limit`, and no further one once they hold `bytes`. Runs on a storage thread, inside a transaction.
struct PageRequest {
  StreamId id{};
  StreamKey key;
  int64_t after = 0;
  int64_t until = 0;
  int limit = 0;
  size_t bytes = 0;
  UserKey viewer;
};
struct Page {
  std::vector<EncodedEntry> entries;
  bool complete = false;   // there is nothing more up to `until`
  bool forbidden = false;  // the viewer may not follow the stream any more: no entries, and it is followed no further
};
using PageReader = std::function<Result<Page>(storage::Transaction&, const PageRequest&)>;

struct ReplayOptions {
  int page_entries = 64;
  size_t page_bytes = 256 * 1024;  // a page ends with the entry that reaches this
  size_t reads = 32;               // pages that a worker reads at the same time; the others wait their turn
  size_t window_entries = 256;  // replayed at connect and not confirmed; beyond, the replay waits
  std::chrono::nanoseconds window_stall = std::chrono::seconds(60);
};

// What the subscribers of a process share.
class Engine {
 public:
  Engine(Fanout& fanout, storage::Database& database, ReplayOptions options, MetricRegistry& metrics);

  // At wiring, before any worker starts.
  void set_reader(StreamKind kind, PageReader reader) { readers_[static_cast<size_t>(kind)] = std::move(reader); }

  Fanout& fanout() { return fanout_; }
  // On each worker, before the workers stop: nobody reads any more.
  void close_here() { turnstile_here().close(); }

 private:
  friend class Subscriber;
  Turnstile& turnstile_here() { return *turnstiles_[static_cast<size_t>(Worker::current()->index())]; }

  Fanout& fanout_;
  storage::Database& database_;
  const ReplayOptions options_;
  std::array<PageReader, 4> readers_;
  std::vector<std::unique_ptr<Turnstile>> turnstiles_;  // one per worker, touched only by it
  Counter& replayed_;
  Counter& gaps_;
  Counter& slow_;
};

// The frame that says which entries are not replayed: those after `after_seq` and before `next_seq`.
Frame gap_frame(const StreamKey& key, int64_t after_seq, int64_t next_seq);
// What a client calls the stream: the conversation's id, or "@self".
std::string_view client_name(const StreamKey& key);

struct FollowRequest {
  StreamRef ref;
  StreamKey key;
  int64_t head = 0;      // of the snapshot that the request was made from
  Instant as_of{};       // just before that snapshot
  int64_t position = 0;  // the last entry that the device needs no more
};

class Subscriber {
 public:
  class Events {
   public:
    virtual void replay_finished() = 0;           // once: every stream of begin() has been replayed up to its head
    virtual void replay_failed(const Error&) = 0;  // the store did not answer
   protected:
    ~Events() = default;
  };

  Subscriber(Engine& engine, Outlet& outlet, Events& events);
  ~Subscriber();
  Subscriber(const Subscriber&) = delete;
  Subscriber& operator=(const Subscriber&) = delete;

  // The streams of a new connection; replay_finished() follows, at once if there is nothing to replay.
  void begin(std::vector<FollowRequest> requests);
  // One more stream of a live connection. Nothing happens if it is followed already; a request that took too long to
  // come here is a failed replay.
  void follow(const FollowRequest& request);
  void unfollow(const StreamKey& key);

  // The newest entry that this worker, or the outlet, knows of a followed stream; nothing if it is not followed.
  std::optional<int64_t> head_of(const StreamKey& key) const;
  std::optional<StreamRef> followed(const StreamKey& key) const;
  const StreamKey* key_of(StreamId id) const;  // null if it is not followed
  // Follows it, and has been handed everything up to `seq`, or it is the author. False also while an older entry is stored
  // and was not told yet.
  bool is_live(StreamId id, int64_t seq);
  size_t followed_count() const { return followed_.size(); }
  // Entries between the positions of lagging streams and their heads.
  int64_t behind() const;
  // Entries that were read from the log for it.
  int64_t replayed() const { return replayed_; }

  // The device has everything of the stream up to `seq`: the replay window moves on.
  void confirm(StreamId id, int64_t seq);
  // The outlet was answered for an entry of its own: it does not get it from the log as well.
  void own_entry(StreamId id, int64_t seq);
  // The outlet has room again after deliver() returned false.
  void resume();
  // The replay window has been full for longer than allowed.
  bool window_stalled(Instant now) const;

  bool catching_up() const { return catch_up_ != nullptr; }

  Outlet& outlet() { return outlet_; }

 private:
  friend class Fanout;
  struct Followed {
    LocalStream* stream;
    uint32_t index;  // in stream->followers
  };
  struct Lag {
    LocalStream* stream;
    int64_t position;
    bool initial;  // belongs to the replay at connect
    int64_t until = 0;  // the head of the follower's snapshot: stored up to here, perhaps not told to this worker yet
    std::vector<int64_t> own;  // entries the outlet was answered for while it lagged
  };
  struct CatchUp {
    std::vector<Lag> lags;
    std::deque<std::pair<StreamId, int64_t>> unconfirmed;
    Instant window_full_since{};
    bool window_full = false;
    bool running = false;
    bool congested = false;
  };

  // Called by Fanout.
  void fell_behind(LocalStream& stream, LocalStream::Follower& follower, int64_t position);
  void missed(LocalStream& stream, LocalStream::Follower& follower, int64_t position);
  void head_moved(LocalStream& stream);
  void stream_ready(LocalStream& stream);
  void expelled(LocalStream& stream);

  void add(const FollowRequest& request, bool initial);
  void remove(size_t slot);
  void start();
  CatchUp& catch_up();
  Lag* next_lag();
  Lag* lag_of(StreamId id);
  bool may_send(const Lag& lag) const;
  void end_lag(Lag& lag);
  void settle(Lag& lag);
  void drop_lag(const LocalStream* stream);
  void finish_if_done();
  bool send_from_tail(Lag& lag);
  void send_page(Lag& lag, const Page& page, int64_t until);
  bool send_gap(Lag& lag, int64_t next_seq);
  bool send(Lag& lag, int64_t seq, const Frame& frame);
  void note_window();
  static Task<> run(std::shared_ptr<Subscriber*> self);

  Engine& engine_;
  Outlet& outlet_;
  Events& events_;
  std::vector<Followed> followed_;
  std::unique_ptr<CatchUp> catch_up_;         // only while something lags or is unconfirmed
  std::shared_ptr<Subscriber*> alive_;        // set to null when this goes while a page is being read
  int64_t replayed_ = 0;
  bool replaying_ = false;                    // between begin() and replay_finished()
};

}  // namespace tidemark::stream
