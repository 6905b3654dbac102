// What every Database promises, on each of them.
#include "storage/database.h"

#include <gtest/gtest.h>

#include <functional>
#include <numeric>

#include "storage/database_fixture.h"

namespace tidemark::storage {
namespace {

enum class Kind : uint8_t { file, memory, postgres };

class AnyDatabase : public DatabaseFixture, public ::testing::WithParamInterface<Kind> {
 protected:
  void SetUp() override {
    switch (GetParam()) {
      case Kind::file: return open_file();
      case Kind::memory: return open_memory();
      case Kind::postgres: return open_postgres();
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Of, AnyDatabase, ::testing::Values(Kind::file, Kind::memory, Kind::postgres),
                         [](const auto& which) {
                           return which.param == Kind::file ? "File" : which.param == Kind::memory ? "Memory" : "Postgres";
                         });

TEST_P(AnyDatabase, CommitsWhatIsQueuedTogether) {
  const auto before = batches();
  {
    HeldWriter held(*database_);
    submit(adding_many(1, 100));
  }
  for (const auto& answer : answers()) {
    EXPECT_TRUE(answer->ok());
  }
  auto added = batches();
  for (size_t i = 0; i < added.size(); ++i) {
    added[i] -= before[i];
  }
  EXPECT_EQ(added[0], 1u);                                                  // the closure that held the writer
  EXPECT_EQ(added[7], 1u);                                                  // 65 to 128: all the others
  EXPECT_EQ(std::accumulate(added.begin(), added.end(), uint64_t{0}), 2u);  // and no other batch
  EXPECT_EQ(count_things(*database_), 100);
}

TEST_P(AnyDatabase, CommitsTogetherWhatOneTurnAsksFor) {
  const auto before = batches();
  submit(adding_many(1, 20));
  for (const auto& answer : answers()) {
    EXPECT_TRUE(answer->ok());
  }
  EXPECT_EQ(batches()[5] - before[5], 1u);  // 17 to 32
}

TEST_P(AnyDatabase, TakesOneMoreThanATurnGathers) {
  submit(adding_many(1, 33));
  for (const auto& answer : answers()) {
    EXPECT_TRUE(answer->ok());
  }
  EXPECT_EQ(count_things(*database_), 33);
}

TEST_P(AnyDatabase, AnswersInTheOrderOfTheQueue) {
  {
    HeldWriter held(*database_);
    submit(adding_many(1, 50));
  }
  answers();
  std::vector<size_t> expected(50);
  std::iota(expected.begin(), expected.end(), size_t{0});
  EXPECT_EQ(order_, expected);
}

TEST_P(AnyDatabase, AnErrorUndoesItsClosureOnly) {
  {
    HeldWriter held(*database_);
    submit({adding(1, "first"),
            [](Transaction& tx) -> Status {
              tx.execute(kAddThing, 2, "undone");
              return Error{Code::forbidden, "changed its mind", "name", 0};
            },
            adding(2, "last")});
  }
  const auto all = answers();
  EXPECT_TRUE(all[0]->ok());
  ASSERT_FALSE(all[1]->ok());
  EXPECT_EQ(all[1]->error().code, Code::forbidden);
  EXPECT_EQ(all[1]->error().text, "changed its mind");
  EXPECT_TRUE(all[2]->ok());
  EXPECT_EQ(count_things(*database_), 2);
}

TEST_P(AnyDatabase, AnErrorBeforeAnyChangeCostsTheOthersNothing) {
  int runs = 0;
  const Closure counted = [&runs](Transaction& tx) {
    ++runs;
    return add_thing(tx, 1, "first");
  };
  {
    HeldWriter held(*database_);
    submit({counted, [](Transaction&) -> Status { return fail(Code::forbidden); }, adding(2, "last")});
  }
  const auto all = answers();
  EXPECT_TRUE(all[0]->ok());
  EXPECT_FALSE(all[1]->ok());
  EXPECT_TRUE(all[2]->ok());
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(count_things(*database_), 2);
}

TEST_P(AnyDatabase, AFailedConstraintLeavesTheRestOfTheBatchAlone) {
  {
    HeldWriter held(*database_);
    submit({adding(1, "same"),
            [](Transaction& tx) -> Status {
              tx.execute(kAddThing, 10, "goes with the next");
              return add_thing(tx, 2, "same");
            },
            adding(1, "the same key"), adding(3, "other")});
  }
  const auto all = answers();
  EXPECT_TRUE(all[0]->ok());
  EXPECT_FALSE(all[1]->ok());
  EXPECT_FALSE(all[2]->ok());
  EXPECT_TRUE(all[3]->ok());
  EXPECT_EQ(count_things(*database_), 2);
  EXPECT_TRUE(database_->healthy());
}

TEST_P(AnyDatabase, AFailedConstraintIsAConflict) {
  submit({adding(1, "same"), adding(2, "same"), adding(1, "other")});
  const auto all = answers();
  ASSERT_FALSE(all[1]->ok());
  EXPECT_EQ(all[1]->error().code, Code::conflict);  // UNIQUE
  ASSERT_FALSE(all[2]->ok());
  EXPECT_EQ(all[2]->error().code, Code::conflict);  // PRIMARY KEY
}

TEST_P(AnyDatabase, AReadSeesEveryAnsweredWrite) {
  for (int64_t id = 1; id <= 200; ++id) {
    ASSERT_TRUE(database_->write_now(adding(id, "n" + std::to_string(id))).ok());
    ASSERT_EQ(count_things(*database_), id);
  }
}

TEST_P(AnyDatabase, AnswersComeBackToTheWorkerThatAsked) {
  Worker* answered_on = nullptr;
  Result<int64_t> count = int64_t{-1};
  finish_on(workers_.at(0), [&]() -> Task<> {
    count = co_await database_->read([](Transaction& tx) -> Result<int64_t> {
      EXPECT_EQ(Worker::current(), nullptr);  // closures run on a storage thread
      Statement& rows = tx.query(kCountThings);
      return rows.next() ? rows.integer(0) : int64_t{-1};
    });
    answered_on = Worker::current();
  });
  EXPECT_EQ(*count, 0);
  EXPECT_EQ(answered_on, &workers_.at(0));
}

TEST_P(AnyDatabase, CloseAnswersWhatIsQueued) {
  std::thread closing;
  {
    HeldWriter held(*database_);
    submit(adding_many(1, 20));
    closing = std::thread([this] { database_->close(); });
  }
  for (const auto& answer : answers()) {
    EXPECT_TRUE(answer->ok() || answer->error().code == Code::unavailable);
  }
  closing.join();
}

TEST_P(AnyDatabase, AnswersUnavailableAfterClose) {
  database_->close();
  database_->close();
  const Status written = database_->write_now(adding(1, "late"));
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().code, Code::unavailable);
  submit({adding(2, "late")});
  EXPECT_EQ(answers()[0]->error().code, Code::unavailable);
  EXPECT_EQ(count_things(*database_), -1);
}

TEST_P(AnyDatabase, KeepsNullsIntegersAndTextsAsTheyAre) {
  static constexpr Sql kMake{"CREATE TABLE kinds (i INTEGER, t TEXT, n TEXT, e TEXT, b INTEGER)",
                             "CREATE TABLE kinds (i BIGINT, t TEXT, n TEXT, e TEXT, b INTEGER)"};
  static constexpr Sql kAdd{"INSERT INTO kinds VALUES (?, ?, ?, ?, ?)"};
  static constexpr Sql kGet{"SELECT i, t, n, e, b FROM kinds"};
  const std::string odd("a\0b'\"\xc3\xa4", 7);
  ASSERT_TRUE(database_->write_now([&](Transaction& tx) -> Status {
    tx.execute(kMake);
    EXPECT_EQ(tx.execute(kAdd, INT64_MIN, odd, nullptr, std::string_view(), true), 1);
    return {};
  }).ok());
  ASSERT_TRUE(database_->read_now([&](Transaction& tx) -> Status {
    Statement& rows = tx.query(kGet);
    EXPECT_TRUE(rows.next());
    EXPECT_EQ(rows.integer(0), INT64_MIN);
    EXPECT_EQ(rows.string(1), odd);
    EXPECT_TRUE(rows.is_null(2));
    EXPECT_EQ(rows.text(2), "");
    EXPECT_FALSE(rows.is_null(3));
    EXPECT_EQ(rows.text(3), "");
    EXPECT_EQ(rows.integer(4), 1);
    EXPECT_FALSE(rows.next());
    return {};
  }).ok());
}

TEST_P(AnyDatabase, KeepsBytesThatAreNoText) {
  static constexpr Sql kMake{"CREATE TABLE pieces (state TEXT)", "CREATE TABLE pieces (state BYTEA)"};
  static constexpr Sql kAdd{"INSERT INTO pieces VALUES (?)"};
  static constexpr Sql kGet{"SELECT state FROM pieces"};
  std::string bytes;
  for (int i = 0; i < 512; ++i) {
    bytes += static_cast<char>(i);
  }
  ASSERT_TRUE(database_->write_now([&](Transaction& tx) -> Status {
    tx.execute(kMake);
    tx.execute(kAdd, Bytes{bytes});
    return {};
  }).ok());
  ASSERT_TRUE(database_->read_now([&](Transaction& tx) -> Status {
    Statement& rows = tx.query(kGet);
    EXPECT_TRUE(rows.next());
    EXPECT_EQ(rows.string(0), bytes);
    return {};
  }).ok());
}

// Who waits sees nothing, but what it asked to happen later has happened with the commit.
TEST_P(AnyDatabase, WhatMayRunLaterIsCommittedWithTheRest) {
  ASSERT_TRUE(database_->write_now([](Transaction& tx) -> Status {
    tx.execute_later(kAddThing, 1, "later");
    tx.execute(kAddThing, 2, "now");
    tx.execute_later(kAddThing, 3, "last");
    return {};
  }).ok());
  EXPECT_EQ(count_things(*database_), 3);
}

TEST_P(AnyDatabase, WhatMayRunLaterFailsItsClosureOnly) {
  {
    HeldWriter held(*database_);
    submit({adding(1, "first"),
            [](Transaction& tx) -> Status {
              tx.execute_later(kAddThing, 2, "first");
              return {};
            },
            adding(3, "last")});
  }
  const auto all = answers();
  EXPECT_TRUE(all[0]->ok());
  ASSERT_FALSE(all[1]->ok());
  EXPECT_EQ(all[1]->error().code, Code::conflict);
  EXPECT_TRUE(all[2]->ok());
  EXPECT_EQ(count_things(*database_), 2);
}

}  // namespace
}  // namespace tidemark::storage
