#include "storage/log_sync.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <thread>

#include "core/metrics.h"

namespace tidemark::storage {
namespace {

// A log whose fsync is held up and fails as the test says.
class Log {
 public:
  Log() {
    methods_.iVersion = 1;
    methods_.xSync = [](sqlite3_file* file, int) { return reinterpret_cast<Held*>(file)->log->sync(); };
    file_.base.pMethods = &methods_;
    file_.log = this;
  }

  sqlite3_file& file() { return file_.base; }
  void hold() { let_go_ = {}; held_ = true; }
  void let_go() { let_go_.set_value(); }
  void fail() { code_ = SQLITE_IOERR_FSYNC; }
  int syncs() const { return syncs_.load(); }

 private:
  struct Held {
    sqlite3_file base;
    Log* log;
  };

  int sync() {
    ++syncs_;
    if (held_) {
      let_go_.get_future().wait();
    }
    return code_;
  }

  sqlite3_io_methods methods_{};
  Held file_{};
  bool held_ = false;
  int code_ = SQLITE_OK;
  std::atomic<int> syncs_{0};
  std::promise<void> let_go_;
};

// One for which a thread waits.
class CountedJob final : public Job {
 public:
  bool is_answered() const { return answered_.load(); }
  bool wait() {
    done_->get_future().wait();
    return JobRunner::status(*this).ok();
  }

 private:
  Status run(Transaction&) override { return {}; }
  void finished() override {
    answered_.store(true);
    const auto done = done_;  // the waiter may be gone at the end of set_value()
    done->set_value();
  }

  std::atomic<bool> answered_{false};
  std::shared_ptr<std::promise<void>> done_ = std::make_shared<std::promise<void>>();
};

class LogSyncTest : public ::testing::Test {
 protected:
  static constexpr size_t kHeldReadsMax = 2;

  void hand_over(CountedJob& job) {
    sync_.begin_commit();
    std::vector<Job*> jobs{&job};
    ASSERT_TRUE(sync_.hand_over(log_.file(), jobs));
    EXPECT_TRUE(jobs.empty());
  }

  MetricRegistry metrics_;
  Log log_;
  std::atomic<int> failures_{0};
  LogSync sync_{[this](int) { ++failures_; }, metrics_.histogram("seconds", "", {1}), kHeldReadsMax};
};

TEST_F(LogSyncTest, AnswersAReadAtOnceWhenAllIsDurable) {
  CountedJob read;
  sync_.answer_reads({&read});
  EXPECT_TRUE(read.is_answered());
  sync_.begin_commit();
  EXPECT_TRUE(sync_.sync_now(log_.file()));
  CountedJob another;
  sync_.answer_reads({&another});
  EXPECT_TRUE(another.is_answered());
  EXPECT_EQ(log_.syncs(), 1);
}

TEST_F(LogSyncTest, HoldsAReadUntilWhatItMayHaveSeenIsDurable) {
  CountedJob read;
  sync_.begin_commit();
  sync_.answer_reads({&read});
  EXPECT_FALSE(read.is_answered());
  EXPECT_TRUE(sync_.sync_now(log_.file()));
  EXPECT_TRUE(read.is_answered());
  EXPECT_TRUE(read.wait());
}

TEST_F(LogSyncTest, ACommitThatFailedOrNeedsNoSyncAnswersTheReads) {
  CountedJob first;
  CountedJob second;
  sync_.begin_commit();
  sync_.answer_reads({&first});
  sync_.commit_failed();
  EXPECT_TRUE(first.wait());
  sync_.begin_commit();
  sync_.answer_reads({&second});
  sync_.commit_done();
  EXPECT_TRUE(second.wait());
  EXPECT_EQ(log_.syncs(), 0);
}

TEST_F(LogSyncTest, AnswersABatchBehindItsSync) {
  sync_.start();
  log_.hold();
  CountedJob write;
  hand_over(write);
  EXPECT_TRUE(sync_.busy());
  EXPECT_FALSE(write.is_answered());
  log_.let_go();
  EXPECT_TRUE(write.wait());
  EXPECT_TRUE(sync_.wait());
  EXPECT_FALSE(sync_.busy());
}

TEST_F(LogSyncTest, AFailedSyncRefusesEverybodyAndIsTheLast) {
  sync_.start();
  log_.hold();
  log_.fail();
  CountedJob write;
  CountedJob read;
  hand_over(write);
  sync_.answer_reads({&read});
  log_.let_go();
  EXPECT_FALSE(read.wait());
  EXPECT_FALSE(write.wait());
  EXPECT_FALSE(sync_.wait());
  CountedJob late;
  sync_.answer_reads({&late});
  EXPECT_FALSE(late.wait());
  EXPECT_FALSE(sync_.sync_now(log_.file()));
  EXPECT_EQ(log_.syncs(), 1);
  EXPECT_EQ(failures_.load(), 1);
}

TEST_F(LogSyncTest, TheReaderOfOnePastTheLimitWaits) {
  sync_.start();
  log_.hold();
  CountedJob write;
  hand_over(write);
  CountedJob first;
  CountedJob second;
  CountedJob third;
  sync_.answer_reads({&first, &second});
  std::promise<void> went_on;
  std::thread reader([&] {
    sync_.answer_reads({&third});
    went_on.set_value();
  });
  EXPECT_EQ(went_on.get_future().wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  log_.let_go();
  reader.join();
  EXPECT_TRUE(first.wait());
  EXPECT_TRUE(second.wait());
  EXPECT_TRUE(third.wait());
}

TEST_F(LogSyncTest, TheReaderOfOnePastTheLimitHearsOfAFailure) {
  sync_.start();
  log_.hold();
  log_.fail();
  CountedJob write;
  hand_over(write);
  CountedJob reads[kHeldReadsMax + 1];
  sync_.answer_reads({&reads[0], &reads[1]});
  std::thread reader([&] { sync_.answer_reads({&reads[2]}); });
  log_.let_go();
  reader.join();
  for (CountedJob& read : reads) {
    EXPECT_FALSE(read.wait());
  }
}

TEST_F(LogSyncTest, StopEndsTheSyncUnderWayFirst) {
  sync_.start();
  CountedJob write;
  hand_over(write);
  sync_.stop();
  EXPECT_TRUE(write.is_answered());
  CountedJob late;
  std::vector<Job*> jobs{&late};
  sync_.begin_commit();
  EXPECT_FALSE(sync_.hand_over(log_.file(), jobs));
  EXPECT_EQ(jobs.size(), 1u);
}

TEST_F(LogSyncTest, TakesNoBatchWhileItDoesSomethingElse) {
  static std::promise<void> begun;
  static std::promise<void> goes_on;
  begun = {};
  goes_on = {};
  sync_.start();
  sync_.do_aside([] {
    begun.set_value();
    goes_on.get_future().wait();
  });
  begun.get_future().wait();
  CountedJob write;
  std::vector<Job*> jobs{&write};
  sync_.begin_commit();
  EXPECT_FALSE(sync_.hand_over(log_.file(), jobs));
  EXPECT_TRUE(sync_.sync_now(log_.file()));
  goes_on.set_value();
}

}  // namespace
}  // namespace tidemark::storage
