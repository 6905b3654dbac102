// For tests: workers, an in-memory store, a fan-out with a small page reader, and followers that note what they get.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <semaphore>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/worker_fixture.h"
#include "storage/sqlite_database.h"
#include "stream/store.h"
#include "stream/subscriber.h"

namespace tidemark::stream {

inline std::string entry_text(int64_t seq) { return "e" + std::to_string(seq); }

// An outlet with its subscriber. Owner: one worker, but for the constructor.
class Follower final : public Outlet, public Subscriber::Events {
 public:
  Follower(OutletId id, Worker& worker, std::string user = "somebody")
      : worker_(worker), id_(id), user_(TenantId("t"), UserId(std::move(user))) {}

  OutletId outlet_id() const override { return id_; }
  const UserKey& user() const override { return user_; }
  bool deliver(const StreamRef& stream, int64_t, const Frame& frame) override {
    worker_.assert_owner();
    if (room == 0) {
      return false;
    }
    --room;
    if (form != nullptr) {
      (void)frame.translated(form);
    }
    got.push_back(label(stream, frame));
    return true;
  }
  void signal(const Frame& frame) override { got.push_back(std::string(frame.payload())); }
  void replay_finished() override { got.push_back("synced"); }
  void replay_failed(const Error&) override { got.push_back("failed"); }

  Worker& worker() { return worker_; }

  std::unique_ptr<Subscriber> subscriber;
  std::vector<std::string> got;  // "e5", of streams but the first "2:e5"; gaps "gap 3-7"; "synced"
  size_t room = SIZE_MAX;        // frames that are still taken
  Frame::Translate form = nullptr;  // a form of each frame that it asks for

 private:
  static std::string label(const StreamRef& stream, const Frame& frame) {
    std::string text(frame.payload());
    if (text.starts_with('{')) {
      simdjson::dom::parser parser;
      const auto gap = parser.parse(text);
      text = "gap " + std::to_string(int64_t(gap["after_seq"])) + "-" + std::to_string(int64_t(gap["next_seq"]));
    }
    return (stream.id == StreamId{1} ? "" : std::to_string(static_cast<int64_t>(stream.id)) + ":") + text;
  }

  Worker& worker_;
  const OutletId id_;
  const UserKey user_;
};

// "e3", "e4" … up to `last`.
inline std::vector<std::string> entries(int64_t first, int64_t last) {
  std::vector<std::string> texts;
  for (int64_t seq = first; seq <= last; ++seq) {
    texts.push_back(entry_text(seq));
  }
  return texts;
}

class StreamFixture : public ::testing::Test {
 protected:
  explicit StreamFixture(int workers = 1, FanoutOptions fanout = {}, ReplayOptions replay = {})
      : workers_(workers, clock_) {
    storage::SqliteOptions options;
    options.path = ":memory:";
    auto opened = storage::open_sqlite(std::move(options), metrics_);
    TIDEMARK_CHECK(opened.ok());
    database_ = std::move(*opened);
    TIDEMARK_CHECK(storage::migrate(*database_, kMigrations).ok());
    fanout_ = std::make_unique<Fanout>(workers_, *database_, fanout, metrics_);
    engine_ = std::make_unique<Engine>(*fanout_, *database_, replay, metrics_);
    engine_->set_reader(StreamKind::conversation, [this](storage::Transaction& tx, const PageRequest& request) {
      return read_page(tx, request);
    });
    workers_.start();
  }
  ~StreamFixture() override {
    reader_blocked_ = false;
    reader_gate_.release();
    for (const auto& follower : followers_) {
      run_on(follower->worker(), [&] { follower->subscriber.reset(); });
    }
    settle(workers_);
    database_->close();
    workers_.stop_and_join();
  }

  // A stream whose live state is on `owner`. The first has id 1.
  StreamRef make_stream(int owner = 0) {
    const auto row = database_->write_now([this](storage::Transaction& tx) -> Result<StreamRow> {
      return open_stream(tx, key_of(StreamId{++streams_}), 0);
    });
    TIDEMARK_CHECK(row.ok() && row->id == StreamId{streams_});
    return StreamRef{row->id, owner};
  }
  static StreamKey key_of(StreamId id) {
    return StreamKey(TenantId("t"), StreamKind::conversation, "c" + std::to_string(static_cast<int64_t>(id)));
  }
  // Commits the next `count` entries and tells nobody.
  int64_t commit(const StreamRef& stream, int count = 1) {
    const auto head = database_->write_now([&](storage::Transaction& tx) -> Result<int64_t> {
      int64_t seq = 0;
      for (int i = 0; i < count; ++i) {
        NewEntry entry;
        entry.author = "author";
        const auto appended = append(tx, stream.id, entry);
        TIDEMARK_CHECK(appended.ok());
        seq = appended->seq;
      }
      return seq;
    });
    TIDEMARK_CHECK(head.ok());
    return *head;
  }
  void publish(const StreamRef& stream, int64_t seq, OutletId origin = 0) {
    run_on(workers_.at(stream.owner), [&] { fanout_->publish(stream, seq, Frame::text(entry_text(seq)), origin); });
  }
  void commit_and_publish(const StreamRef& stream, int count = 1) {
    for (int i = 0; i < count; ++i) {
      publish(stream, commit(stream));
    }
  }
  void expire_up_to(const StreamRef& stream, int64_t seq) {
    static constexpr storage::Sql kDelete{"DELETE FROM entries WHERE stream = ? AND seq <= ?"};
    TIDEMARK_CHECK(database_->write_now([&](storage::Transaction& tx) -> Status {
      tx.execute(kDelete, stream.id, seq);
      return {};
    }).ok());
  }

  Follower& make_follower(int worker = 0, std::string user = "somebody") {
    followers_.push_back(std::make_unique<Follower>(followers_.size() + 1, workers_.at(worker), std::move(user)));
    return *followers_.back();
  }
  FollowRequest request(const StreamRef& stream, int64_t head, int64_t position) {
    FollowRequest one;
    one.ref = stream;
    one.key = key_of(stream.id);
    one.head = head;
    one.as_of = clock_.now();
    one.position = position;
    return one;
  }
  // begin() and everything that follows from it.
  void begin(Follower& follower, std::vector<FollowRequest> requests) {
    run_on(follower.worker(), [&] { begin_here(follower, std::move(requests)); });
    settle(workers_);
  }
  // On the follower's worker.
  void begin_here(Follower& follower, std::vector<FollowRequest> requests) {
    follower.subscriber = std::make_unique<Subscriber>(*engine_, follower, follower);
    follower.subscriber->begin(std::move(requests));
  }
  template <class F>
  void with(Follower& follower, F function) {
    run_on(follower.worker(), [&] { function(*follower.subscriber); });
  }

  // What the follower has got when `count` frames have come, or after ten seconds.
  std::vector<std::string> got(Follower& follower, size_t count) {
    eventually(follower.worker(), [&] { return follower.got.size() >= count; });
    settle(workers_);
    return run_on(follower.worker(), [&] { return follower.got; });
  }

  Result<Page> read_page(storage::Transaction& tx, const PageRequest& request) {
    static constexpr storage::Sql kPage{
        "SELECT seq FROM entries WHERE stream = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?"};
    ++pages_read_;
    Page page;
    page.forbidden = removed_;
    storage::Statement& rows = tx.query(kPage, request.id, request.after, request.until, request.limit);
    while (!page.forbidden && rows.next()) {
      page.entries.push_back({rows.integer(0), Frame::text(entry_text(rows.integer(0)))});
    }
    page.complete = page.entries.size() < static_cast<size_t>(request.limit);
    if (reader_blocked_) {
      reader_entered_.release();
      reader_gate_.acquire();
    }
    return page;
  }
  // Holds the next page up after it was read: block_reader(), …, reader_entered_.acquire(), …, unblock_reader().
  void block_reader() { reader_blocked_ = true; }
  void unblock_reader() {
    reader_blocked_ = false;
    reader_gate_.release();
  }

  SystemClock clock_;
  MetricRegistry metrics_;
  WorkerPool workers_;
  std::unique_ptr<storage::Database> database_;
  std::unique_ptr<Fanout> fanout_;
  std::unique_ptr<Engine> engine_;
  std::vector<std::unique_ptr<Follower>> followers_;
  int64_t streams_ = 0;
  std::atomic<int> pages_read_{0};
  std::atomic<bool> removed_{false};  // viewers may not read any more
  std::atomic<bool> reader_blocked_{false};
  std::counting_semaphore<> reader_entered_{0};
  std::counting_semaphore<> reader_gate_{0};
};

}  // namespace tidemark::stream
