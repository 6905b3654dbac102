// What holds for a store in a file: its limits, its damages, its migrations.
#include <gtest/gtest.h>

#include <fstream>
#include <numeric>

#include "storage/migrations.h"
#include "storage/database_fixture.h"

namespace tidemark::storage {
namespace {

class SqliteFile : public DatabaseFixture {};

TEST_F(SqliteFile, KeepsItsDataWhenItIsOpenedAgain) {
  open_file();
  ASSERT_TRUE(database_->write_now(adding(1, "kept")).ok());
  database_.reset();
  open_file();
  EXPECT_EQ(count_things(*database_), 1);
}

TEST_F(SqliteFile, RefusesOnePastTheQueue) {
  SqliteOptions options;
  options.path = path();
  options.queue_jobs_max = 3;
  open(std::move(options));
  {
    HeldWriter held(*database_);
    submit(adding_many(1, 4));
    EXPECT_TRUE(eventually(workers_.at(0), [this] { return answers_[3].has_value(); }));
  }
  const auto all = answers();
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(all[i]->ok());
  }
  ASSERT_FALSE(all[3]->ok());
  EXPECT_EQ(all[3]->error().code, Code::unavailable);
}

TEST_F(SqliteFile, CommitsAtMostTheConfiguredNumberTogether) {
  SqliteOptions options;
  options.path = path();
  options.batch_jobs_max = 2;
  open(std::move(options));
  const auto before = batches();
  {
    HeldWriter held(*database_);
    submit(adding_many(1, 5));
  }
  answers();
  const auto after = batches();
  EXPECT_EQ(after[0] - before[0], 2u);  // the holder and the fifth
  EXPECT_EQ(after[1] - before[1], 2u);
}

// One batch is synced while the next one runs.
TEST_F(SqliteFile, AnswersManyBatchesInTheOrderOfTheQueue) {
  SqliteOptions options;
  options.path = path();
  options.batch_jobs_max = 3;
  open(std::move(options));
  submit(adding_many(1, 100));
  for (const auto& answer : answers()) {
    EXPECT_TRUE(answer->ok());
  }
  std::vector<size_t> expected(100);
  std::iota(expected.begin(), expected.end(), size_t{0});
  EXPECT_EQ(order_, expected);
  EXPECT_EQ(count_things(*database_), 100);
}

TEST_F(SqliteFile, ReadsWhileTheWriterIsBusy) {
  open_file();
  HeldWriter held(*database_);
  EXPECT_EQ(count_things(*database_), 0);
}

TEST_F(SqliteFile, AClosureThatOnlyReadsCannotWrite) {
  open_file();
  const Status written = database_->read_now(adding(1, "not here"));
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().code, Code::unavailable);
  EXPECT_EQ(count_things(*database_), 0);
}

TEST_F(SqliteFile, CannotBeOpenedWhereThereIsNoDirectory) {
  MetricRegistry metrics;
  SqliteOptions options;
  options.path = (directory_ / "missing" / "store.db").string();
  const auto opened = open_sqlite(std::move(options), metrics);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, Code::unavailable);
  EXPECT_NE(opened.error().text.find("missing"), std::string::npos);
}

TEST_F(SqliteFile, RefusesAFileThatIsNoDatabase) {
  std::ofstream(path()) << std::string(8192, 'x');
  MetricRegistry metrics;
  SqliteOptions options;
  options.path = path();
  const auto opened = open_sqlite(std::move(options), metrics);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, Code::unavailable);
  EXPECT_NE(opened.error().text, "") << "people need to know which file is broken";
}

TEST_F(SqliteFile, AnswersUnavailableForADamagedPage) {
  open_file();
  submit(adding_many(1, 2000));
  answers();
  database_.reset();
  {
    std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
    const std::string garbage(4096, '\xa5');
    for (int page = 2; page < 6; ++page) {
      file.seekp(page * 4096);
      file << garbage;
    }
  }
  open_file();
  static constexpr Sql kAll{"SELECT id, name FROM things ORDER BY id"};
  const Status read = database_->read_now([](Transaction& tx) -> Status {
    for (Statement& rows = tx.query(kAll); rows.next();) {
    }
    return {};
  });
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, Code::unavailable);
}

constexpr Sql kFirst[] = {{"CREATE TABLE first (a INTEGER)"}, {"INSERT INTO first VALUES (1)"}};
constexpr Sql kSecond[] = {{"CREATE TABLE second (a INTEGER)"}, {"INSERT INTO second SELECT a + 1 FROM first"}};
constexpr Sql kSelectSecond{"SELECT a FROM second"};
constexpr Migration kBoth[] = {{2, "second", kSecond}, {1, "first", kFirst}};  // in no order

TEST_F(SqliteFile, MigratesOnceInTheOrderOfTheNumbers) {
  open_file();
  EXPECT_EQ(*migrate(*database_, std::span(kBoth).subspan(1)), 1);
  EXPECT_EQ(*migrate(*database_, kBoth), 1);
  EXPECT_EQ(*migrate(*database_, kBoth), 0);
  database_.reset();
  open_file();
  EXPECT_EQ(*migrate(*database_, kBoth), 0);
  EXPECT_TRUE(database_->read_now([](Transaction& tx) -> Status {
    Statement& rows = tx.query(kSelectSecond);
    EXPECT_TRUE(rows.next());
    EXPECT_EQ(rows.integer(0), 2);
    return {};
  }).ok());
}

TEST_F(SqliteFile, RefusesTheSchemaOfANewerProgram) {
  open_file();
  ASSERT_TRUE(migrate(*database_, kBoth).ok());
  const auto older = migrate(*database_, std::span(kBoth).subspan(1));
  ASSERT_FALSE(older.ok());
  EXPECT_EQ(older.error().code, Code::unavailable);
  EXPECT_NE(older.error().text.find("newer"), std::string::npos);
}

TEST_F(SqliteFile, LeavesNothingOfAMigrationThatFails) {
  static constexpr Sql kBreaks[] = {{"CREATE TABLE third (a INTEGER UNIQUE)"},
                                    {"INSERT INTO things (id, name) VALUES (1, 'third')"},
                                    {"INSERT INTO things (id, name) VALUES (1, 'again')"}};
  static constexpr Migration kThird[] = {{3, "third", kBreaks}};
  open_file();
  EXPECT_FALSE(migrate(*database_, kThird).ok());
  EXPECT_EQ(count_things(*database_), 0);
  EXPECT_FALSE(migrate(*database_, kThird).ok()) << "it is tried again, not taken for done";
}

// The file of another program is data from outside, which must not end the process.
TEST_F(SqliteFile, RefusesTheDatabaseOfAnotherProgram) {
  open_file();
  static constexpr Sql kForeign{"CREATE TABLE schema_migrations (version TEXT)"};
  ASSERT_TRUE(database_->write_now([](Transaction& tx) -> Status {
    tx.execute(kForeign);
    return {};
  }).ok());
  const auto migrate_in_another_process = [this] {
    database_.reset();
    open_file();
    const bool refused = !migrate(*database_, kBoth).ok();
    std::filesystem::remove_all(directory_);
    std::_Exit(refused ? 0 : 1);
  };
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(migrate_in_another_process(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace tidemark::storage
