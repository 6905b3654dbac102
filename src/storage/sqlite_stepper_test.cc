#include "storage/stepper.h"

#include <gtest/gtest.h>

#include "storage/database_fixture.h"

namespace tidemark::storage {
namespace {

// Storage without threads: nothing happens between two steps.
class SteppedSqlite : public ::testing::Test {
 protected:
  SteppedSqlite() {
    SqliteOptions options;
    options.path = ":memory:";
    options.stepper = &stepper_;
    auto opened = open_sqlite(std::move(options), metrics_);
    TIDEMARK_CHECK(opened.ok());
    database_ = std::move(*opened);
    TIDEMARK_CHECK(database_->write_now([](Transaction& tx) -> Status {
      tx.execute(kCreateThings);
      return {};
    }).ok());
  }
  ~SteppedSqlite() override {
    while (stepper_.step(0)) {
    }
    worker_.step();  // whoever still waits has an answer and ends
    database_->close();
  }

  void ask(int64_t id) {
    worker_.post([this, id] {
      spawn([](SteppedSqlite& self, int64_t number) -> Task<> {
        auto closure = adding(number, std::to_string(number));
        const Status answer = co_await self.database_->write(std::move(closure));
        self.answers_.push_back(answer.ok() ? number : -number);
      }(*this, id));
    });
    worker_.step();
  }

  ManualClock clock_;
  WorkerPool workers_{1, clock_};
  Worker& worker_ = workers_.at(0);
  MetricRegistry metrics_;
  Stepper stepper_;
  std::unique_ptr<Database> database_;
  std::vector<int64_t> answers_;
};

TEST_F(SteppedSqlite, CommitsInOneStepAndAnswersInTheNext) {
  ask(1);
  ask(1);
  ask(2);
  worker_.step();
  EXPECT_TRUE(answers_.empty());
  EXPECT_TRUE(stepper_.step(0)) << "the batch";
  worker_.step();
  EXPECT_TRUE(answers_.empty());
  EXPECT_TRUE(stepper_.step(0)) << "its answers";
  worker_.step();
  EXPECT_EQ(answers_, (std::vector<int64_t>{1, -1, 2}));
  EXPECT_FALSE(stepper_.step(0));
  EXPECT_EQ(count_things(*database_), 2);
}

TEST_F(SteppedSqlite, TakesNoMoreIntoABatchThanItIsTold) {
  stepper_.batch_jobs_max = 1;
  ask(1);
  ask(2);
  stepper_.step(0);
  stepper_.step(0);
  worker_.step();
  EXPECT_EQ(answers_, std::vector<int64_t>{1});
}

TEST_F(SteppedSqlite, MayAnswerBeforeTheTurnThatAskedHasEnded) {
  stepper_.on_submit = [this] {
    while (stepper_.step(0)) {
    }
  };
  ask(1);
  worker_.step();
  EXPECT_EQ(answers_, std::vector<int64_t>{1});
}

}  // namespace
}  // namespace tidemark::storage
