// What is PostgreSQL's own: lost connections, timeouts, writers that meet, one node alone.
#include "storage/postgres_database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <latch>

#include "storage/database_fixture.h"

namespace tidemark::storage {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr Sql kRename{"UPDATE things SET name = ? WHERE id = ?"};
constexpr Sql kFind{"SELECT id FROM things WHERE name = ?"};
constexpr Sql kSleep{"SELECT pg_sleep(?)"};
constexpr Sql kWrong{"SELECT nothing FROM nowhere"};
constexpr Sql kCut{"SELECT pg_terminate_backend(pg_backend_pid())"};

class PostgresDatabase : public DatabaseFixture {
 protected:
  void SetUp() override {
    if (PostgresSchema::server() == nullptr) {
      GTEST_SKIP() << "TIDEMARK_TEST_POSTGRESQL is not set";
    }
  }
  ~PostgresDatabase() override {
    if (database_) {
      database_->close();
    }
    two_.stop_and_join();
  }
  // Runs each closure on a worker of its own, and so over a connection of its own; their answers.
  std::vector<Status> run_beside(std::vector<Closure> closures) {
    two_.start();
    std::vector<std::promise<Status>> promises(closures.size());
    for (size_t i = 0; i < closures.size(); ++i) {
      run_on(two_.at(static_cast<int>(i)), [&, i] { spawn(answer(closures[i], promises[i])); });
    }
    std::vector<Status> answers;
    for (auto& promise : promises) {
      answers.push_back(promise.get_future().get());
    }
    return answers;
  }
  Task<> answer(Closure closure, std::promise<Status>& promise) {
    Status status = co_await database_->write(std::move(closure));
    promise.set_value(std::move(status));
  }
  // Every connection to the schema's server but the one that asks.
  void cut_all() {
    PostgresSchema::run("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                        " AND backend_type = 'client backend'");
  }
  // The guard notices by itself; until then calls answer `unavailable`.
  static void await_health(const Database& database, bool healthy) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (database.healthy() != healthy && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ASSERT_EQ(database.healthy(), healthy);
  }

  WorkerPool two_{2, clock_};
};

TEST_F(PostgresDatabase, ConnectionsThatWereCutAreMadeAgain) {
  ASSERT_NO_FATAL_FAILURE(open_postgres());
  for (int64_t id = 1; id <= 10; ++id) {
    cut_all();
    ASSERT_NO_FATAL_FAILURE(await_health(*database_, true));
    EXPECT_TRUE(database_->write_now(adding(id)).ok()) << "over another connection";
    EXPECT_EQ(count_things(*database_), id);
  }
}

TEST_F(PostgresDatabase, AClosureWhoseConnectionBreaksRunsAgainOverANewOne) {
  ASSERT_NO_FATAL_FAILURE(open_postgres());
  int runs = 0;
  const Status stored = database_->write_now([&runs](Transaction& tx) -> Status {
    tx.execute(kAddThing, 1, "thing");
    if (++runs == 1) {
      tx.execute(kCut);
    }
    return {};
  });
  EXPECT_TRUE(stored.ok());
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(count_things(*database_), 1);
}

TEST_F(PostgresDatabase, TwoThatLockEachOtherBothEndWell) {
  ASSERT_NO_FATAL_FAILURE(open_postgres());
  ASSERT_TRUE(database_->write_now(adding(1, "one")).ok());
  ASSERT_TRUE(database_->write_now(adding(2, "two")).ok());
  std::latch both(2);
  std::atomic<int> runs = 0;
  const auto renaming = [&](int64_t first, int64_t second) -> Closure {
    return [&, first, second](Transaction& tx) -> Status {
      tx.execute(kRename, "by " + std::to_string(first), first);
      if (++runs <= 2) {
        both.arrive_and_wait();
      }
      tx.execute(kRename, "also by " + std::to_string(first), second);
      return {};
    };
  };
  for (const Status& status : run_beside({renaming(1, 2), renaming(2, 1)})) {
    EXPECT_TRUE(status.ok());
  }
  EXPECT_GE(runs.load(), 3) << "one of them had to run again";
}

TEST_F(PostgresDatabase, WhoComesSecondSeesWhatTheFirstHasMade) {
  ASSERT_NO_FATAL_FAILURE(open_postgres());
  std::latch both(2);
  std::atomic<int> looks = 0;
  std::atomic<int> found = 0;
  const auto finding_or_making = [&](int64_t id) -> Closure {
    return [&, id](Transaction& tx) -> Status {
      const bool there = tx.query(kFind, "the only one").next();
      if (++looks <= 2) {
        both.arrive_and_wait();
      }
      if (there) {
        ++found;
        return {};
      }
      return add_thing(tx, id, "the only one");
    };
  };
  for (const Status& status : run_beside({finding_or_making(1), finding_or_making(2)})) {
    EXPECT_TRUE(status.ok());
  }
  EXPECT_EQ(found.load(), 1);
  EXPECT_EQ(count_things(*database_), 1);
}

TEST_F(PostgresDatabase, AStatementThatTakesTooLongIsUnavailableAndHarmsNoOther) {
  PostgresOptions options;
  options.statement_timeout = std::chrono::milliseconds(100);
  ASSERT_NO_FATAL_FAILURE(open_postgres(options));
  const auto slept = database_->write_now([](Transaction& tx) -> Status {
    tx.execute(kSleep, 60);
    return {};
  });
  ASSERT_FALSE(slept.ok());
  EXPECT_EQ(slept.error().code, Code::unavailable);
  EXPECT_TRUE(database_->write_now(adding(1)).ok());
  EXPECT_TRUE(database_->healthy());
}

TEST_F(PostgresDatabase, AMistakeInAStatementIsInternalAndHarmsNoOther) {
  ASSERT_NO_FATAL_FAILURE(open_postgres());
  const auto wrong = database_->read_now([](Transaction& tx) -> Status {
    tx.query(kWrong).next();
    return {};
  });
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().code, Code::internal);
  EXPECT_THAT(wrong.error().text, Not(HasSubstr("nowhere")));
  EXPECT_EQ(count_things(*database_), 0);
}

// A database of its own: advisory locks belong to the whole database, and other tests run in theirs, too.
class OwnDatabase {
 public:
  explicit OwnDatabase(const std::string& name, const std::string& form = {})
      : name_("tidemark_" + name + "_" + std::to_string(::getpid())) {
    PostgresSchema::run("CREATE DATABASE " + name_ + " " + form);
  }
  OwnDatabase(const OwnDatabase&) = delete;
  OwnDatabase& operator=(const OwnDatabase&) = delete;
  ~OwnDatabase() { PostgresSchema::run("DROP DATABASE " + name_ + " WITH (FORCE)"); }

  const std::string& name() const { return name_; }
  PostgresOptions options() const {
    PostgresOptions options;
    options.url = PostgresSchema::server();
    options.url.replace(options.url.rfind('/') + 1, std::string::npos, name_);
    return options;
  }

 private:
  const std::string name_;
};

Status make_things(Database& database) {
  return database.write_now([](Transaction& tx) -> Status {
    tx.execute(kCreateThings);
    return {};
  });
}

TEST_F(PostgresDatabase, WhoFindsAnotherOwnerGivesUp) {
  const OwnDatabase own("fenced");
  std::atomic<int> failures = 0;
  PostgresOptions options = own.options();
  options.on_failure = [&failures] { ++failures; };
  MetricRegistry metrics;
  const auto node = storage::open_postgres(options, metrics);
  ASSERT_TRUE(node.ok()) << node.error().text;
  ASSERT_TRUE(make_things(**node).ok());
  ASSERT_TRUE((*node)->write_now(adding(1)).ok());
  ASSERT_TRUE((*node)->write_now([](Transaction& tx) -> Status {
    static constexpr Sql kTaken{"UPDATE node_owner SET owner = 'another'"};
    tx.execute(kTaken);
    return {};
  }).ok());
  for (int64_t id = 2; id < 5; ++id) {
    const Status refused = (*node)->write_now(adding(id));
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, Code::unavailable);
  }
  EXPECT_FALSE((*node)->healthy());
  EXPECT_EQ(failures.load(), 1);
  (*node)->close();
  MetricRegistry others;
  const auto next = storage::open_postgres(own.options(), others);
  ASSERT_TRUE(next.ok()) << next.error().text;
  EXPECT_EQ(count_things(**next), 1);
}

TEST_F(PostgresDatabase, IsNotReadyWhileNobodyMayWriteAndRecovers) {
  const OwnDatabase own("readonly");
  MetricRegistry metrics;
  const auto node = storage::open_postgres(own.options(), metrics);
  ASSERT_TRUE(node.ok()) << node.error().text;
  ASSERT_TRUE(make_things(**node).ok());
  PostgresSchema::run("ALTER DATABASE " + own.name() + " SET default_transaction_read_only = on");
  PostgresSchema::run("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '" + own.name() + "'");
  EXPECT_FALSE((*node)->write_now(adding(1)).ok());
  ASSERT_NO_FATAL_FAILURE(await_health(**node, false));
  PostgresSchema::run("ALTER DATABASE " + own.name() + " RESET default_transaction_read_only");
  ASSERT_NO_FATAL_FAILURE(await_health(**node, true));
  EXPECT_TRUE((*node)->write_now(adding(1)).ok());
  EXPECT_EQ(count_things(**node), 1);
}

TEST_F(PostgresDatabase, ADatabaseIsForOneNodeAlone) {
  const OwnDatabase own("alone");
  const PostgresOptions options = own.options();
  MetricRegistry metrics;
  {
    auto first = storage::open_postgres(options, metrics);
    ASSERT_TRUE(first.ok()) << first.error().text;
    MetricRegistry others;
    auto second = storage::open_postgres(options, others);
    ASSERT_FALSE(second.ok());
    EXPECT_THAT(second.error().text, HasSubstr("another node uses this database"));
  }
  MetricRegistry others;
  EXPECT_TRUE(storage::open_postgres(options, others).ok()) << "the first one has gone";
}

Error refused(const PostgresOptions& options) {
  MetricRegistry metrics;
  const auto opened = storage::open_postgres(options, metrics);
  return opened.ok() ? fail(Code::internal, "it was opened") : opened.error();
}

TEST_F(PostgresDatabase, WhatCannotBeOpenedIsNamedWithoutItsPassword) {
  PostgresOptions options;
  options.url = "postgresql://somebody:geheim@127.0.0.1:1/nowhere";
  EXPECT_EQ(refused(options).code, Code::unavailable);
  EXPECT_THAT(refused(options).text, AllOf(HasSubstr("PostgreSQL cannot be reached"), Not(HasSubstr("geheim"))));
  options.url = "postgresql://somebody:ge%heim@host/x";
  EXPECT_THAT(refused(options).text, AllOf(HasSubstr("storage.url"), Not(HasSubstr("heim"))));
}

TEST_F(PostgresDatabase, ADatabaseThatIsNotUtf8IsRefused) {
  const OwnDatabase own("ascii", "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
  EXPECT_THAT(refused(own.options()).text, HasSubstr("UTF8"));
}

TEST_F(PostgresDatabase, ABatchTakesNoMoreThanItMay) {
  PostgresOptions options;
  options.batch_jobs_max = 4;
  ASSERT_NO_FATAL_FAILURE(open_postgres(options));
  const auto before = batches();
  {
    HeldWriter held(*database_);
    submit(adding_many(1, 5));
  }
  for (const auto& answer : answers()) {
    EXPECT_TRUE(answer->ok());
  }
  EXPECT_EQ(batches()[2] - before[2], 1u) << "four";
  EXPECT_EQ(batches()[0] - before[0], 2u) << "the one that held the writer, and the fifth";
}

TEST_F(PostgresDatabase, OneMoreThanTheQueueHoldsIsRefused) {
  PostgresOptions options;
  options.queue_jobs_max = 3;
  ASSERT_NO_FATAL_FAILURE(open_postgres(options));
  {
    HeldWriter held(*database_);
    submit(adding_many(1, 4));
  }
  const auto all = answers();
  EXPECT_TRUE(all[2]->ok());
  ASSERT_FALSE(all[3]->ok());
  EXPECT_EQ(all[3]->error().code, Code::unavailable);
  EXPECT_EQ(count_things(*database_), 3);
}

}  // namespace
}  // namespace tidemark::storage
