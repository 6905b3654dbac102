// Every operation of a fixed piece of work fails once, or is the last one before the power goes, for every position.
//
// TIDEMARK_TEST_FAULT_STEP    positions from one run to the next (default 1: every one; 7 under sanitizers)
// TIDEMARK_TEST_FAULT_SEEDS   how often each power cut is repeated, with another choice of what survives (default 1)
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "faulty_vfs.h"
#include "store_workload.h"

namespace tidemark::faults {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t kStep = 7;
#else
constexpr uint64_t kStep = 1;
#endif

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* const text = ::getenv(variable);
  return text == nullptr ? otherwise : std::max(1UL, std::stoul(text));
}
uint64_t step() { return number_from("TIDEMARK_TEST_FAULT_STEP", kStep); }
uint64_t seeds() { return number_from("TIDEMARK_TEST_FAULT_SEEDS", 1); }

class StoreFaults : public ::testing::Test {
 protected:
  StoreFaults() {
    std::string name = (std::filesystem::temp_directory_path() / "tidemark-faults-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
    workers_.start();
    vfs_.install();
  }
  ~StoreFaults() override {
    vfs_.reset();
    vfs_.uninstall();
    workers_.stop_and_join();
    std::filesystem::remove_all(directory_);
  }

  std::string path() const { return (directory_ / "store.db").string(); }

  // An empty directory and a healthy disk.
  void begin() {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directory(directory_);
    vfs_.reset();
  }

  void start_again() {
    MetricRegistry metrics;
    storage::SqliteOptions options;
    options.path = path();
    const auto database = storage::open_sqlite(std::move(options), metrics);
    ASSERT_TRUE(database.ok()) << database.error().text;
  }

  // The rest of the story: the store is looked at, and the same work is done once more on a healthy disk.
  void check_and_finish(StoreWorkload& work) {
    vfs_.clear_fault();
    work.check();
    if (HasFatalFailure()) {
      return;
    }
    work.expect_all_duplicates();
    work.run();
    EXPECT_TRUE(work.all_done());
    work.check();
  }

  // Calls `one(position)` until the work passed without meeting the fault. Returns the number of runs.
  template <class F>
  uint64_t for_every_position(F one) {
    uint64_t runs = 0;
    for (uint64_t nth = 1;; nth += step()) {
      begin();
      SCOPED_TRACE("position " + std::to_string(nth));
      const bool struck = one(nth);
      ++runs;
      if (!struck || HasFailure()) {
        std::cout << runs << " runs\n";
        return runs;
      }
    }
  }

  uint64_t fail_every(Operation operation, Effect effect = Effect::fail) {
    return for_every_position([&](uint64_t nth) {
      StoreWorkload work(path(), workers_);
      vfs_.set_fault({operation, nth, 1, effect});
      work.run();
      const bool struck = vfs_.failures() > 0;
      if (!struck) {
        EXPECT_TRUE(work.all_done());
      }
      check_and_finish(work);
      return struck;
    });
  }

  FaultyVfs& vfs_ = FaultyVfs::instance();
  SystemClock clock_;
  std::filesystem::path directory_;
  WorkerPool workers_{1, clock_};
};

TEST_F(StoreFaults, PassesOnAHealthyDisk) {
  StoreWorkload work(path(), workers_);
  vfs_.set_fault({Operation::write, 1'000'000'000});
  work.run();
  EXPECT_TRUE(work.all_done());
  for (size_t i = 0; i < kOperationNames.size(); ++i) {
    RecordProperty(std::string(kOperationNames[i]), static_cast<int>(vfs_.count(static_cast<Operation>(i))));
    EXPECT_GT(vfs_.count(static_cast<Operation>(i)), 0u) << kOperationNames[i];
  }
  work.check();
}

TEST_F(StoreFaults, EveryWriteFailsOnce) { EXPECT_GT(fail_every(Operation::write), 100u / step()); }
TEST_F(StoreFaults, EveryWriteFindsTheDiskFullOnce) {
  EXPECT_GT(fail_every(Operation::write, Effect::full), 100u / step());
}
TEST_F(StoreFaults, EveryReadFailsOnce) { EXPECT_GT(fail_every(Operation::read), 10u / step()); }
TEST_F(StoreFaults, EveryReadIsShortOnce) { EXPECT_GT(fail_every(Operation::read, Effect::short_read), 10u / step()); }
TEST_F(StoreFaults, EveryOpenFailsOnce) { EXPECT_GT(fail_every(Operation::open), 2u / step()); }
TEST_F(StoreFaults, EveryTruncateFailsOnce) { EXPECT_GT(fail_every(Operation::truncate), 1u / step()); }
TEST_F(StoreFaults, EveryRemoveFailsOnce) { EXPECT_GT(fail_every(Operation::remove), 1u / step()); }
TEST_F(StoreFaults, EveryQuestionForTheSizeFailsOnce) { EXPECT_GT(fail_every(Operation::size), 2u / step()); }
TEST_F(StoreFaults, EveryLockFailsOnce) { EXPECT_GT(fail_every(Operation::lock), 2u / step()); }
TEST_F(StoreFaults, EveryUseOfTheWalIndexFailsOnce) { EXPECT_GT(fail_every(Operation::shm), 10u / step()); }

// The hard one: the kernel drops what it could not write and reports success the next time. So there is no next time.
TEST_F(StoreFaults, NothingIsWrittenOrAcknowledgedAfterAnFsyncThatFailed) {
  const uint64_t runs = for_every_position([&](uint64_t nth) {
    StoreWorkload work(path(), workers_);
    vfs_.set_fault({Operation::sync, nth});
    work.run();
    if (vfs_.failures() == 0) {
      EXPECT_TRUE(work.all_done());
      return false;
    }
    EXPECT_FALSE(work.all_done() && work.storage_failures() == 0) << "nobody was told";
    EXPECT_LE(work.storage_failures(), 1) << "told once";
    EXPECT_EQ(work.acknowledged_after_failure(), 0);
    if (work.opened()) {  // before it is a WAL store, SQLite undoes with a sync what it could not do; nobody waits for it
      EXPECT_EQ(vfs_.count_since_failure(Operation::sync), 0u) << "no second try";
    }
    if (work.storage_failures() > 0) {
      EXPECT_EQ(vfs_.count_since_failure(Operation::write), 0u);
    }
    vfs_.clear_fault();
    start_again();  // the next process, to which the kernel shows what the disk does not have
    work.check();
    vfs_.keep_removed(true);
    vfs_.cut_power();  // and what the disk really has
    vfs_.power_on();
    check_and_finish(work);
    return true;
  });
  EXPECT_GT(runs, 20u / step());
}

TEST_F(StoreFaults, AnFsyncThatFailsWhileACrashIsCleanedUpIsNotTriedAgain) {
  for_every_position([&](uint64_t nth) {
    StoreWorkload work(path(), workers_);
    vfs_.set_fault({Operation::write, 200, 1, Effect::crash});
    work.run();
    vfs_.power_on();
    StoreWorkload next(path(), workers_);
    vfs_.set_fault({Operation::sync, nth});
    next.run();
    const bool struck = vfs_.failures() > 0;
    EXPECT_EQ(vfs_.count_since_failure(Operation::sync), 0u);
    vfs_.cut_power();
    vfs_.power_on();
    next.check();
    check_and_finish(work);
    return struck;
  });
}

// A change that is larger than SQLite's cache goes to the WAL before its COMMIT, and begins it with an fsync.
TEST_F(StoreFaults, AnFsyncThatFailsInsideAClosureIsOneToo) {
  static constexpr storage::Sql kMake{"CREATE TABLE large (content TEXT)"};
  static constexpr storage::Sql kAdd{"INSERT INTO large VALUES (?)"};
  begin();
  int told = 0;
  MetricRegistry metrics;
  const auto open = [&] {
    storage::SqliteOptions options;
    options.path = path();
    options.on_failure = [&told] { ++told; };
    return std::move(*storage::open_sqlite(std::move(options), metrics));
  };
  auto database = open();
  ASSERT_TRUE(database->write_now([](storage::Transaction& tx) -> Status {
    tx.execute(kMake);
    return {};
  }).ok());
  database.reset();
  database = open();  // the WAL begins anew
  vfs_.set_fault({Operation::sync, 1});
  const std::string megabyte(1 << 20, 'x');
  const Status stored = database->write_now([&](storage::Transaction& tx) -> Status {
    for (int i = 0; i < 80; ++i) {
      tx.execute(kAdd, megabyte);
    }
    return {};
  });
  EXPECT_EQ(vfs_.failures(), 1u);
  ASSERT_FALSE(stored.ok());
  EXPECT_EQ(stored.error().code, Code::unavailable);
  EXPECT_FALSE(database->healthy());
  EXPECT_EQ(told, 1);
}

class PowerCut : public StoreFaults, public ::testing::WithParamInterface<Operation> {};
INSTANTIATE_TEST_SUITE_P(Before, PowerCut,
                         ::testing::Values(Operation::write, Operation::sync, Operation::truncate, Operation::remove),
                         [](const auto& which) {
                           return std::string(kOperationNames[static_cast<size_t>(which.param)]);
                         });

TEST_P(PowerCut, AtEveryPositionLosesNothingThatWasAcknowledged) {
  for (uint64_t seed = 1; seed <= seeds() && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    for_every_position([&](uint64_t nth) {
      StoreWorkload work(path(), workers_);
      vfs_.set_seed(nth * 7919 + seed);
      vfs_.set_fault({GetParam(), nth, 1, Effect::cut});
      work.run();
      const bool struck = vfs_.failures() > 0;
      vfs_.power_on();
      check_and_finish(work);
      return struck;
    });
  }
}

// A process that died may have shown what it had not synced yet. The next one makes it durable before it shows it too.
TEST_F(StoreFaults, WhatACrashLeftIsDurableBeforeItIsServedAgain) {
  for_every_position([&](uint64_t nth) {
    StoreWorkload work(path(), workers_);
    vfs_.set_fault({Operation::sync, nth, 1, Effect::crash});
    work.run();
    const bool struck = vfs_.failures() > 0;
    vfs_.power_on();
    vfs_.clear_fault();
    StoreWorkload next(path(), workers_);
    next.run();                          // answers the retries with what it finds
    vfs_.set_seed(nth);
    vfs_.cut_power();
    vfs_.power_on();
    next.check();
    work.check();
    return struck;
  });
}

// The shim can lose: with synchronous=NORMAL a commit is acknowledged without an fsync. Otherwise the tests above would
// show nothing.
TEST_F(StoreFaults, NormalSynchronousMayLoseAcknowledgedMessagesAtAPowerCut) {
  int lost = 0;
  for (uint64_t nth = 1; nth < 200; nth += 10) {
    begin();
    StoreWorkload work(path(), workers_, false);
    vfs_.set_seed(nth);
    vfs_.set_fault({Operation::write, nth, 1, Effect::cut});
    work.run();
    vfs_.power_on();
    ::testing::TestPartResultArray failures;
    {
      const ::testing::ScopedFakeTestPartResultReporter reporter(
          ::testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &failures);
      work.check();
    }
    for (int i = 0; i < failures.size(); ++i) {
      const std::string what = failures.GetTestPartResult(i).message();
      EXPECT_NE(what.find("acknowledged"), std::string::npos) << what;  // lost, but neither damaged nor doubled
      ++lost;
    }
  }
  EXPECT_GT(lost, 0);
}

}  // namespace
}  // namespace tidemark::faults
