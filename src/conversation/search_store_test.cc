#include "conversation/search_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "conversation/conversation_store.h"
#include "storage/sqlite_database.h"

namespace tidemark::conversation {
namespace {

using storage::Transaction;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SearchStore : public ::testing::Test {
 protected:
  SearchStore() {
    storage::SqliteOptions options;
    options.path = ":memory:";
    database_ = std::move(*storage::open_sqlite(std::move(options), metrics_));
    std::vector<storage::Migration> migrations(stream::kMigrations.begin(), stream::kMigrations.end());
    migrations.insert(migrations.end(), kMigrations.begin(), kMigrations.end());
    EXPECT_TRUE(storage::migrate(*database_, migrations).ok());
    stream_ = open("c1");
  }

  stream::StreamId open(const std::string& name) {
    return *database_->write_now([&](Transaction& tx) -> Result<stream::StreamId> {
      return stream::open_stream(tx, {TenantId("t"), stream::StreamKind::conversation, name}, 1).id;
    });
  }
  void say(stream::StreamId stream, const std::string& content, EntryKind kind = EntryKind::message) {
    stream::NewEntry entry;
    entry.kind = static_cast<int>(kind);
    entry.author = "alice";
    entry.content = content;
    ASSERT_TRUE(
        database_->write_now([&](Transaction& tx) { return stream::append(tx, stream, entry); }).ok());
  }
  // Whether the stream is done; what is left of the budget.
  std::pair<bool, store::IndexBudget> index(stream::StreamId stream, store::IndexBudget budget) {
    const auto done = database_->write_now(
        [&](Transaction& tx) -> Result<bool> { return store::index_stream(tx, stream, budget); });
    return {done.ok() && *done, budget};
  }
  bool index_all(stream::StreamId stream) { return index(stream, store::IndexBudget{1000, 1 << 20}).first; }
  std::vector<int64_t> find(stream::StreamId stream, const std::string& query, int64_t limit = 10) {
    return *database_->write_now([&](Transaction& tx) -> Result<std::vector<int64_t>> {
      return store::find_text(tx, stream, query, INT64_MAX, limit);
    });
  }
  template <class F>
  void change(F closure) {
    ASSERT_TRUE(database_->write_now([&](Transaction& tx) -> Status {
      closure(tx);
      return {};
    }).ok());
  }
  void raise_floor(int64_t floor) {
    static constexpr storage::Sql kFloor{"UPDATE streams SET floor = ? WHERE id = ?"};
    change([&](Transaction& tx) { tx.execute(kFloor, floor, stream_); });
  }

  MetricRegistry metrics_;
  std::unique_ptr<storage::Database> database_;
  stream::StreamId stream_{};
};

TEST_F(SearchStore, FindsNewestFirstInOneStreamOnly) {
  const stream::StreamId other = open("c2");
  say(stream_, "zebra one");
  say(stream_, "horse");
  say(stream_, "zebra two");
  say(other, "zebra elsewhere");
  EXPECT_TRUE(index_all(stream_));
  EXPECT_TRUE(index_all(other));
  EXPECT_THAT(find(stream_, "\"zebra\""), ElementsAre(3, 1));
  EXPECT_THAT(find(stream_, "\"zebra\"", 1), ElementsAre(3));
  EXPECT_THAT(find(other, "\"zebra\""), ElementsAre(1));
}

TEST_F(SearchStore, StopsWhenTheBudgetIsUsedUp) {
  for (int i = 0; i < 5; ++i) {
    say(stream_, "zebra");
  }
  EXPECT_EQ(index(stream_, {2, 1000}).first, false);
  EXPECT_THAT(find(stream_, "\"zebra\""), ElementsAre(2, 1));
  // The message that uses the bytes up is the last one.
  const auto [done, left] = index(stream_, {10, 6});
  EXPECT_FALSE(done);
  EXPECT_EQ(left.messages, 8);
  EXPECT_LE(left.bytes, 0);
  EXPECT_THAT(find(stream_, "\"zebra\""), ElementsAre(4, 3, 2, 1));
  EXPECT_TRUE(index(stream_, {10, 1000}).first);
  EXPECT_EQ(index(stream_, {10, 1000}).second.messages, 10) << "there is nothing more to do";
}

TEST_F(SearchStore, IndexesMessagesOnlyAndWhatTheySayNow) {
  say(stream_, "zebra");
  say(stream_, "zebra", EntryKind::message_edited);
  say(stream_, "zebra");
  change([&](Transaction& tx) {
    store::note_edit(tx, stream_, 1, "horse", 5);
    store::note_deletion(tx, stream_, 3);
  });
  EXPECT_TRUE(index_all(stream_));
  EXPECT_THAT(find(stream_, "\"zebra\""), IsEmpty());
  EXPECT_THAT(find(stream_, "\"horse\""), ElementsAre(1));
}

TEST_F(SearchStore, EditsAndDeletionsAreFoldedInAtOnce) {
  say(stream_, "zebra");
  say(stream_, "zebra");
  EXPECT_TRUE(index_all(stream_));
  change([&](Transaction& tx) {
    store::note_edit(tx, stream_, 1, "horse", 5);
    store::note_deletion(tx, stream_, 2);
  });
  EXPECT_THAT(find(stream_, "\"zebra\""), IsEmpty());
  EXPECT_THAT(find(stream_, "\"horse\""), ElementsAre(1));
}

TEST_F(SearchStore, RemovesWhatIsBelowTheFloorWithinTheBudget) {
  for (int i = 0; i < 5; ++i) {
    say(stream_, "zebra");
  }
  EXPECT_TRUE(index_all(stream_));
  raise_floor(4);
  EXPECT_FALSE(index(stream_, {3, 1000}).first);
  EXPECT_THAT(find(stream_, "\"zebra\""), ElementsAre(5, 4));
  EXPECT_TRUE(index(stream_, {3, 1000}).first);
  EXPECT_THAT(find(stream_, "\"zebra\""), ElementsAre(5));
}

TEST_F(SearchStore, KnowsWhatAStoppedNodeLeft) {
  const stream::StreamId other = open("c2");
  open("empty");
  say(stream_, "zebra");
  say(other, "zebra");
  EXPECT_TRUE(index_all(stream_));
  const auto behind = [&] {
    return *database_->write_now([&](Transaction& tx) -> Result<std::vector<stream::StreamId>> {
      return store::streams_to_index(tx, stream::StreamId{}, stream::StreamId{100});
    });
  };
  EXPECT_THAT(behind(), ElementsAre(other));
  EXPECT_TRUE(index_all(other));
  EXPECT_THAT(behind(), IsEmpty());
  raise_floor(1);
  EXPECT_THAT(behind(), ElementsAre(stream_));
}

TEST_F(SearchStore, MergesUntilThereIsNothingToDo) {
  for (int i = 0; i < 40; ++i) {
    say(stream_, "zebra " + std::to_string(i));
    EXPECT_TRUE(index_all(stream_));
  }
  bool first = true;
  int steps = 0;
  for (bool more = true; more && steps < 1000; ++steps) {
    more = *database_->write_now([&](Transaction& tx) -> Result<bool> {
      const bool begins = std::exchange(first, false);
      return store::merge_index(tx, begins) || begins;
    });
  }
  EXPECT_LT(steps, 1000);
  EXPECT_EQ(find(stream_, "\"zebra\"", 100).size(), 40u);
}

}  // namespace
}  // namespace tidemark::conversation
