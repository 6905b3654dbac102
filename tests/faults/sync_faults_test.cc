// What a commit whose fsync is still under way must not do: be answered, be shown, be followed by another.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>

#include "faulty_vfs.h"
#include "storage/database_fixture.h"

namespace tidemark::faults {
namespace {

using storage::add_thing;
using storage::adding;
using storage::Closure;
using storage::count_things;
using storage::Sql;
using storage::Statement;
using storage::Transaction;

class SyncFaults : public storage::DatabaseFixture {
 protected:
  SyncFaults() { vfs_.install(); }
  ~SyncFaults() override {
    shut();
    vfs_.uninstall();
  }

  void open_with(size_t batch_jobs_max) {
    storage::SqliteOptions options;
    options.path = path();
    options.batch_jobs_max = batch_jobs_max;
    options.on_failure = [this] { ++told_; };
    open(std::move(options));
  }
  void shut() {
    vfs_.hold_syncs(false);
    if (database_) {
      database_->close();
      settle(workers_, 1);
      database_.reset();
    }
    vfs_.reset();
  }

  bool comes_true(const std::function<bool()>& condition) { return eventually(workers_.at(0), condition); }

  // Asks how many there are, again and again without waiting for the answers, until somebody has seen `count`.
  void read_until_seen(int64_t count) {
    EXPECT_TRUE(comes_true([&] {
      spawn(read_one());
      return seen_.load() >= count;
    }));
  }
  Task<> read_one() {
    auto counting = [this](Transaction& tx) -> Result<int64_t> {
      Statement& rows = tx.query(storage::kCountThings);
      const int64_t found = rows.next() ? rows.integer(0) : 0;
      seen_.store(std::max(seen_.load(), found));
      return found;
    };
    ++reads_under_way_;
    const Result<int64_t> answer = co_await database_->read(std::move(counting));
    --reads_under_way_;
    if (answer.ok()) {
      told_of_ = std::max(told_of_, *answer);
    }
  }
  void wait_for_reads() {
    EXPECT_TRUE(comes_true([this] { return reads_under_way_ == 0; }));
  }

  // Returns when the last one has run.
  void submit_six_of_which_the_fifth_fails() {
    const auto last_ran = std::make_shared<std::atomic<bool>>(false);
    const Closure failing = [](Transaction& tx) -> Status {
      tx.execute(storage::kAddThing, 5, "undone");
      return fail(Code::forbidden);
    };
    const Closure last = [last_ran](Transaction& tx) -> Status {
      last_ran->store(true);
      return add_thing(tx, 6, "thing 6");
    };
    submit({adding(1), adding(2), adding(3), adding(4), failing, last});
    EXPECT_TRUE(comes_true([&] { return last_ran->load(); }));
  }

  FaultyVfs& vfs_ = FaultyVfs::instance();
  std::atomic<int> told_{0};       // on_failure
  std::atomic<int64_t> seen_{0};   // by the closure of a read, whether it was answered or not
  int64_t told_of_ = 0;            // by the answer of a read; owner: worker 0
  int reads_under_way_ = 0;        // owner: worker 0
};

TEST_F(SyncFaults, AReadThatSawWhatIsBeingSyncedIsAnsweredBehindIt) {
  open_with(1);
  vfs_.hold_syncs(true);
  submit({adding(1)});
  read_until_seen(1);
  run_on(workers_.at(0), [this] {
    EXPECT_EQ(told_of_, 0);
    EXPECT_FALSE(answers_[0].has_value());
  });
  vfs_.hold_syncs(false);
  wait_for_reads();
  EXPECT_TRUE(answers()[0]->ok());
  EXPECT_EQ(told_of_, 1);
}

TEST_F(SyncFaults, AReadThatSawWhatCouldNotBeSyncedIsNotAnswered) {
  open_with(1);
  vfs_.hold_syncs(true);
  vfs_.set_fault({Operation::sync, 1});
  submit({adding(1)});
  read_until_seen(1);
  vfs_.hold_syncs(false);
  wait_for_reads();
  EXPECT_FALSE(answers()[0]->ok());
  EXPECT_EQ(told_of_, 0);
  EXPECT_EQ(told_.load(), 1);
  EXPECT_EQ(count_things(*database_), -1);  // nor is one that comes later
}

TEST_F(SyncFaults, NobodyWasToldOfWhatAPowerCutTakesBack) {
  int lost = 0;
  for (uint64_t seed = 1; seed <= 16; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    shut();
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directory(directory_);
    seen_.store(0);
    told_of_ = 0;
    open_with(1);
    vfs_.set_seed(seed);
    submit({adding(1)});
    EXPECT_TRUE(answers()[0]->ok());
    vfs_.hold_syncs(true);
    submit({adding(2), adding(3)});
    read_until_seen(2);
    vfs_.cut_power();
    vfs_.hold_syncs(false);
    wait_for_reads();
    for (const auto& answer : answers()) {
      EXPECT_FALSE(answer->ok());
    }
    EXPECT_LE(told_of_, 1);
    database_->close();
    database_.reset();
    vfs_.power_on();
    open_with(1);
    const int64_t left = count_things(*database_);
    EXPECT_GE(left, 1);
    lost += left == 1 ? 1 : 0;
  }
  EXPECT_GT(lost, 0) << "the cut took nothing back: this shows nothing";
}

TEST_F(SyncFaults, NothingIsChangedOnTheDiskBesideASync) {
  storage::SqliteOptions options;
  options.path = path();
  options.batch_jobs_max = 2;
  options.checkpoint_frames = options.checkpoint_frames_max = 4;
  open(std::move(options));
  vfs_.set_fault({Operation::write, 1'000'000'000});  // counts
  vfs_.set_sync_delay(2);
  std::atomic<int> beside{0};
  std::vector<Closure> closures;
  for (int64_t id = 1; id <= 32; ++id) {
    closures.emplace_back([&beside, id, this](Transaction& tx) {
      // The thread that syncs has to wake up first, if there is something for it.
      const auto patience =
          std::chrono::steady_clock::now() + std::chrono::milliseconds(beside.load() == 0 ? 200 : 1);
      while (!vfs_.is_syncing() && std::chrono::steady_clock::now() < patience) {
        std::this_thread::yield();
      }
      beside += vfs_.is_syncing() ? 1 : 0;
      return add_thing(tx, id, std::string(3000, static_cast<char>('a' + id % 26)) + std::to_string(id));
    });
  }
  submit(std::move(closures));
  for (const auto& answer : answers()) {
    EXPECT_TRUE(answer->ok());
  }
  database_->close();
  EXPECT_GT(beside.load(), 0) << "no closure ran beside a sync: this shows nothing";
  EXPECT_GT(vfs_.count(Operation::write), 64u);
  EXPECT_EQ(vfs_.changes_beside_sync(), 0u);
}

// The second batch has run when the fsync of the first one fails: it is taken back and not tried.
TEST_F(SyncFaults, WhatRanBesideAnFsyncThatFailedIsRefusedAndNotWritten) {
  open_with(3);
  vfs_.set_fault({Operation::sync, 1});
  vfs_.hold_syncs(true);
  submit_six_of_which_the_fifth_fails();
  // The thread that syncs may not have been awake yet.
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!vfs_.is_syncing() && std::chrono::steady_clock::now() < patience) {
    std::this_thread::yield();
  }
  ASSERT_TRUE(vfs_.is_syncing());
  vfs_.hold_syncs(false);
  for (const auto& answer : answers()) {
    ASSERT_FALSE(answer->ok());
    EXPECT_EQ(answer->error().code, Code::unavailable);
  }
  EXPECT_FALSE(database_->healthy());
  database_->close();
  EXPECT_EQ(told_.load(), 1);
  EXPECT_EQ(vfs_.failures(), 1u);
  EXPECT_EQ(vfs_.count_since_failure(Operation::write), 0u);
  EXPECT_EQ(vfs_.count_since_failure(Operation::sync), 0u);
}

TEST_F(SyncFaults, WhatRanBesideAnFsyncIsUndoneAlone) {
  open_with(3);
  vfs_.hold_syncs(true);
  submit_six_of_which_the_fifth_fails();
  vfs_.hold_syncs(false);
  const auto all = answers();
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i]->ok(), i != 4) << i;
  }
  EXPECT_EQ(count_things(*database_), 5);
}

// What is larger than SQLite's cache goes to the log before its COMMIT, and so beside the sync of the batch before. It is
// behind that batch, and without an end nobody takes it for anything.
TEST_F(SyncFaults, ALargeChangeBesideAnFsyncThatFailedLeavesNothing) {
  static constexpr Sql kMake{"CREATE TABLE large (content TEXT)"};
  static constexpr Sql kAdd{"INSERT INTO large VALUES (?)"};
  static constexpr Sql kCount{"SELECT count(*) FROM large"};
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    shut();
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directory(directory_);
    open_with(1);
    ASSERT_TRUE(database_->write_now([](Transaction& tx) -> Status {
      tx.execute(kMake);
      return {};
    }).ok());
    vfs_.set_seed(seed);
    vfs_.set_fault({Operation::sync, 1});
    vfs_.hold_syncs(true);
    std::atomic<bool> large_ran{false};
    submit({adding(1), [&large_ran](Transaction& tx) -> Status {
              const std::string megabyte(1 << 20, 'x');
              for (int i = 0; i < 80; ++i) {
                tx.execute(kAdd, megabyte);
              }
              large_ran.store(true);
              return {};
            }});
    EXPECT_TRUE(comes_true([&] { return large_ran.load(); }));
    EXPECT_GT(vfs_.changes_beside_sync(), 0u);
    vfs_.hold_syncs(false);
    for (const auto& answer : answers()) {
      EXPECT_FALSE(answer->ok());
    }
    database_->close();
    database_.reset();
    EXPECT_EQ(vfs_.count_since_failure(Operation::write), 0u);
    if (seed == 2) {
      vfs_.cut_power();
      vfs_.power_on();
    }
    vfs_.clear_fault();
    open_with(1);
    const auto large = database_->read_now([](Transaction& tx) -> Result<int64_t> {
      Statement& rows = tx.query(kCount);
      return rows.next() ? rows.integer(0) : -1;
    });
    ASSERT_TRUE(large.ok());
    EXPECT_EQ(*large, 0);
    EXPECT_GE(count_things(*database_), 0);
  }
}

TEST_F(SyncFaults, CloseAnswersWhatIsBeingSyncedAndWhatWaitsBehind) {
  open_with(1);
  vfs_.hold_syncs(true);
  submit({adding(1), adding(2), adding(3)});
  read_until_seen(1);
  std::thread closing([this] { database_->close(); });
  vfs_.hold_syncs(false);
  for (const auto& answer : answers()) {
    EXPECT_TRUE(answer->ok());
  }
  closing.join();
  wait_for_reads();
  EXPECT_GE(told_of_, 1);
  database_.reset();
  open_with(1);
  EXPECT_EQ(count_things(*database_), 3);
}

TEST_F(SyncFaults, CloseBesideAnFsyncThatFailsRefusesAllAndWritesNothing) {
  open_with(1);
  vfs_.set_fault({Operation::sync, 1});
  vfs_.hold_syncs(true);
  submit({adding(1), adding(2), adding(3)});
  read_until_seen(1);
  std::thread closing([this] { database_->close(); });
  vfs_.hold_syncs(false);
  for (const auto& answer : answers()) {
    EXPECT_FALSE(answer->ok());
  }
  closing.join();
  wait_for_reads();
  EXPECT_EQ(told_of_, 0);
  EXPECT_EQ(told_.load(), 1);
  database_.reset();
  EXPECT_EQ(vfs_.count_since_failure(Operation::write), 0u);
  EXPECT_EQ(vfs_.count_since_failure(Operation::sync), 0u);
}

}  // namespace
}  // namespace tidemark::faults
