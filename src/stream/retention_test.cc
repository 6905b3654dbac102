#include "stream/retention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/database_fixture.h"

namespace tidemark::stream {
namespace {

using storage::Transaction;

constexpr int64_t kOld = 1000;
constexpr storage::Sql kCount{"SELECT count(*) FROM entries WHERE stream = ?"};

class RetentionTest : public storage::DatabaseFixture {
 protected:
  RetentionTest() {
    open_file();
    EXPECT_TRUE(storage::migrate(*database_, kMigrations).ok());
    options_.step_entries = 10;
    options_.step_streams = 3;
    options_.found_streams = 2;
    options_.first_round = std::chrono::nanoseconds(0);
    options_.pause_min = std::chrono::nanoseconds(0);
  }

  ~RetentionTest() override {
    database_->close();
    workers_.stop_and_join();  // before retention_, whose timer is a worker's
  }

  StreamId make(const std::string& name, int old, int fresh, StreamKind kind = StreamKind::conversation) {
    return *database_->write_now([&](Transaction& tx) -> Result<StreamId> {
      const StreamId id = open_stream(tx, StreamKey(TenantId("t"), kind, name), 1).id;
      for (int i = 0; i < old + fresh; ++i) {
        NewEntry entry;
        entry.author = "alice";
        entry.time_ms = i < old ? kOld : clock_.unix_ms();
        EXPECT_TRUE(append(tx, id, entry).ok());
      }
      return id;
    });
  }
  void start(std::vector<RetentionRule> rules) {
    retention_ = std::make_unique<Retention>(workers_, *database_, clock_, std::move(rules), options_, *metrics_);
    retention_->start();
  }
  int64_t count(StreamId stream) {
    return *database_->read_now([&](Transaction& tx) -> Result<int64_t> {
      storage::Statement& rows = tx.query(kCount, stream);
      return rows.next() ? rows.integer(0) : -1;
    });
  }
  bool removed(uint64_t entries) {
    return eventually(workers_.at(0), [&] {
      return metrics_->counter("tidemark_retention_removed_total", "").value() == entries;
    });
  }

  RetentionOptions options_;
  std::unique_ptr<Retention> retention_;
};

RetentionRule rule(StreamKind kind) { return {kind, std::chrono::hours(1), {}}; }

TEST_F(RetentionTest, RemovesWhatIsOldInBoundedSteps) {
  const StreamId many = make("many", 95, 5);
  const StreamId few = make("few", 3, 0);
  const StreamId fresh = make("fresh", 0, 7);
  const StreamId other = make("own", 4, 0, StreamKind::self);
  const StreamId last = make("last", 8, 1);
  int64_t told = 0;
  RetentionRule messages = rule(StreamKind::conversation);
  messages.expired = [&](Transaction&, StreamId, int64_t) { ++told; };
  start({messages});
  ASSERT_TRUE(removed(106));
  EXPECT_EQ(count(many), 5);
  EXPECT_EQ(count(few), 0);
  EXPECT_EQ(count(fresh), 7);
  EXPECT_EQ(count(other), 4) << "another kind";
  EXPECT_EQ(count(last), 1);
  EXPECT_GE(told, 11);
  const auto steps = metrics_->histogram("tidemark_retention_step_entries", "", {}).snapshot();
  EXPECT_GE(steps.counts[0], 11u);
  EXPECT_THAT(std::vector(steps.counts.begin() + 1, steps.counts.end()), ::testing::Each(0u))
      << "a step was larger than step_entries";
}

TEST_F(RetentionTest, GoesThroughAllRules) {
  const StreamId messages = make("messages", 3, 1);
  const StreamId own = make("own", 4, 2, StreamKind::self);
  start({rule(StreamKind::self), rule(StreamKind::conversation)});
  ASSERT_TRUE(removed(7));
  EXPECT_EQ(count(messages), 1);
  EXPECT_EQ(count(own), 2);
}

TEST_F(RetentionTest, LetsOthersWriteBetweenItsSteps) {
  const StreamId stream = make("many", 200, 0);
  start({rule(StreamKind::conversation)});
  // Each waits for the writer behind at most one step; all are answered before the job is done or while it goes on.
  for (int64_t i = 0; i < 50; ++i) {
    ASSERT_TRUE(database_->write_now([i](Transaction& tx) -> Status {
      return storage::add_thing(tx, i, std::to_string(i));
    }).ok());
  }
  ASSERT_TRUE(removed(200));
  EXPECT_EQ(count(stream), 0);
  EXPECT_EQ(storage::count_things(*database_), 50);
}

}  // namespace
}  // namespace tidemark::stream
