#include "stream/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "storage/sqlite_database.h"

namespace tidemark::stream {
namespace {

using storage::Transaction;

class StreamStore : public ::testing::Test {
 protected:
  StreamStore() {
    storage::SqliteOptions options;
    options.path = ":memory:";
    database_ = std::move(*storage::open_sqlite(std::move(options), metrics_));
    EXPECT_TRUE(storage::migrate(*database_, kMigrations).ok());
    stream_ = open("c1");
  }

  template <class F>
  auto write(F closure) {
    return database_->write_now(std::move(closure));
  }
  StreamId open(const std::string& name, StreamKind kind = StreamKind::conversation, const std::string& tenant = "t") {
    return write([&](Transaction& tx) -> Result<StreamRow> {
             return open_stream(tx, StreamKey(TenantId(tenant), kind, name), 1000);
           })->id;
  }
  static NewEntry entry(std::string author, std::string client_id, int64_t hash, bool counted = true) {
    NewEntry one;
    one.author = std::move(author);
    one.client_id = std::move(client_id);
    one.hash = hash;
    one.counted = counted;
    one.time_ms = 5000;
    return one;
  }
  Result<Appended> add(const NewEntry& one) { return add(stream_, one); }
  Result<Appended> add(StreamId stream, const NewEntry& one) {
    return write([&](Transaction& tx) { return append(tx, stream, one); });
  }
  void add_many(int count, int64_t first_time) {
    for (int i = 0; i < count; ++i) {
      NewEntry one = entry("alice", "", 0);
      one.time_ms = first_time + i;
      ASSERT_TRUE(add(one).ok());
    }
  }
  StreamRow row() {
    return *write([&](Transaction& tx) -> Result<StreamRow> { return *stream_by_id(tx, stream_); });
  }
  std::vector<int64_t> seqs() {
    static constexpr storage::Sql kSeqs{"SELECT seq FROM entries WHERE stream = ? ORDER BY seq"};
    return *write([&](Transaction& tx) -> Result<std::vector<int64_t>> {
      std::vector<int64_t> all;
      for (storage::Statement& rows = tx.query(kSeqs, stream_); rows.next();) {
        all.push_back(rows.integer(0));
      }
      return all;
    });
  }
  int64_t expire(int64_t before_ms, int limit) {
    return *write([&](Transaction& tx) -> Result<int64_t> {
      return expire_entries(tx, *stream_by_id(tx, stream_), before_ms, limit);
    });
  }

  MetricRegistry metrics_;
  std::unique_ptr<storage::Database> database_;
  StreamId stream_{};
};

TEST_F(StreamStore, NumbersWithoutGapsFromOne) {
  for (int64_t seq = 1; seq <= 50; ++seq) {
    EXPECT_EQ(add(entry("alice", "", 0))->seq, seq);
  }
  EXPECT_EQ(row().head, 50);
  EXPECT_EQ(seqs().size(), 50u);
}

TEST_F(StreamStore, NumbersEachStreamByItself) {
  const StreamId other = open("c2");
  EXPECT_NE(other, stream_);
  EXPECT_EQ(add(entry("alice", "", 0))->seq, 1);
  EXPECT_EQ(add(other, entry("alice", "", 0))->seq, 1);
  EXPECT_EQ(add(entry("alice", "", 0))->seq, 2);
}

TEST_F(StreamStore, AClosureThatFailsAfterItsAppendLeavesNoGap) {
  EXPECT_EQ(add(entry("alice", "a", 1))->seq, 1);
  const auto undone = write([&](Transaction& tx) -> Result<Appended> {
    EXPECT_EQ(append(tx, stream_, entry("alice", "b", 1))->seq, 2);
    return fail(Code::forbidden);
  });
  EXPECT_FALSE(undone.ok());
  const auto again = add(entry("alice", "b", 1));
  EXPECT_EQ(again->seq, 2);
  EXPECT_FALSE(again->duplicate);
}

TEST_F(StreamStore, CountsTheOrdinalOfCountedEntriesOnly) {
  EXPECT_EQ(add(entry("a", "", 0, true))->ordinal, 1);
  EXPECT_EQ(add(entry("a", "", 0, false))->ordinal, 1);
  EXPECT_EQ(add(entry("a", "", 0, true))->ordinal, 2);
}

TEST_F(StreamStore, RepeatedClientIdReturnsTheFirstAnswer) {
  const auto first = add(entry("alice", "id", 7));
  ASSERT_TRUE(first.ok());
  EXPECT_FALSE(first->duplicate);
  ASSERT_TRUE(add(entry("alice", "", 0)).ok());
  NewEntry retry = entry("alice", "id", 7);
  retry.time_ms = 9999;
  retry.device = "another device of the user";
  const auto second = add(retry);
  ASSERT_TRUE(second.ok());
  EXPECT_TRUE(second->duplicate);
  EXPECT_EQ(second->seq, first->seq);
  EXPECT_EQ(second->time_ms, 5000);
  EXPECT_EQ(second->ordinal, first->ordinal);
  EXPECT_EQ(row().head, 2);
}

TEST_F(StreamStore, RepeatedClientIdWithOtherFieldsIsAConflict) {
  ASSERT_TRUE(add(entry("alice", "id", 7)).ok());
  const auto changed = add(entry("alice", "id", 8));
  ASSERT_FALSE(changed.ok());
  EXPECT_EQ(changed.error().code, Code::conflict);
  EXPECT_EQ(changed.error().field, "id");
  EXPECT_EQ(row().head, 1);
}

TEST_F(StreamStore, AnotherAuthorOrStreamMayUseTheSameClientId) {
  const StreamId other = open("c2");
  EXPECT_EQ(add(entry("alice", "id", 7))->seq, 1);
  const auto of_bob = add(entry("bob", "id", 7));
  EXPECT_EQ(of_bob->seq, 2);
  EXPECT_FALSE(of_bob->duplicate);
  EXPECT_FALSE(add(other, entry("alice", "id", 7))->duplicate);
}

TEST_F(StreamStore, EntriesWithoutClientIdAreNeverDuplicates) {
  EXPECT_EQ(add(entry("alice", "", 7))->seq, 1);
  EXPECT_EQ(add(entry("alice", "", 7))->seq, 2);
}

TEST_F(StreamStore, FindsADuplicateOfTheSameTransaction) {
  const auto both = write([&](Transaction& tx) -> Result<std::vector<Appended>> {
    return std::vector<Appended>{*append(tx, stream_, entry("alice", "id", 7)),
                                 *append(tx, stream_, entry("alice", "id", 7))};
  });
  ASSERT_TRUE(both.ok());
  EXPECT_EQ((*both)[1].seq, (*both)[0].seq);
  EXPECT_FALSE((*both)[0].duplicate);
  EXPECT_TRUE((*both)[1].duplicate);
}

TEST_F(StreamStore, AppendToAStreamThatIsNotThereIsNotFound) {
  const auto appended = add(StreamId{4711}, entry("alice", "id", 7));
  ASSERT_FALSE(appended.ok());
  EXPECT_EQ(appended.error().code, Code::not_found);
}

TEST_F(StreamStore, OpensAStreamOnceForItsTenantKindAndName) {
  EXPECT_EQ(open("c1"), stream_);
  EXPECT_NE(open("c1", StreamKind::self), stream_);
  EXPECT_NE(open("c1", StreamKind::conversation, "t2"), stream_);
  const auto missing = write([&](Transaction& tx) -> Result<bool> {
    return find_stream(tx, StreamKey(TenantId("t"), StreamKind::document, "c1")).has_value();
  });
  EXPECT_FALSE(*missing);
}

TEST_F(StreamStore, ExpiresWhatIsOlderAndRaisesTheFloor) {
  add_many(10, 100);  // times 100 to 109
  EXPECT_EQ(expire(104, 100), 4);
  EXPECT_THAT(seqs(), ::testing::ElementsAre(5, 6, 7, 8, 9, 10));
  EXPECT_EQ(row().floor, 4);
  EXPECT_EQ(row().head, 10);
  EXPECT_EQ(expire(104, 100), 4);
}

TEST_F(StreamStore, ExpiresAtMostTheLimitAtOnce) {
  add_many(10, 100);
  EXPECT_EQ(expire(1000, 3), 3);
  EXPECT_EQ(expire(1000, 3), 6);
  EXPECT_EQ(expire(1000, 100), 10);
  EXPECT_TRUE(seqs().empty());
  EXPECT_EQ(add(entry("alice", "", 0))->seq, 11);
}

TEST_F(StreamStore, KeepsAnOldEntryAboveOneThatIsKept) {
  add_many(2, 500);
  add_many(2, 100);  // a clock that was set back
  EXPECT_EQ(expire(400, 100), 0);
  EXPECT_EQ(seqs().size(), 4u);
}

TEST_F(StreamStore, AnExpiredClientIdMayBeUsedAgain) {
  ASSERT_TRUE(add(entry("alice", "id", 7)).ok());
  EXPECT_EQ(expire(6000, 100), 1);
  const auto again = add(entry("alice", "id", 8));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->seq, 2);
}

TEST_F(StreamStore, FindsTheStreamsWithOldEntries) {
  const StreamId second = open("c2");
  open("empty");
  const StreamId own = open("alice", StreamKind::self);
  for (const StreamId id : {stream_, second, own}) {
    ASSERT_TRUE(add(id, entry("alice", "", 0)).ok());
  }
  const auto find = [&](StreamId after, int limit, int64_t before_ms = 6000, StreamId until = StreamId{100}) {
    return *write([&](Transaction& tx) -> Result<std::vector<StreamId>> {
      return streams_to_expire(tx, StreamKind::conversation, after, until, before_ms, limit);
    });
  };
  EXPECT_THAT(find(StreamId{}, 10), ::testing::ElementsAre(stream_, second));
  EXPECT_THAT(find(StreamId{}, 1), ::testing::ElementsAre(stream_));
  EXPECT_THAT(find(stream_, 10), ::testing::ElementsAre(second));
  EXPECT_THAT(find(StreamId{}, 10, 6000, stream_), ::testing::ElementsAre(stream_));
  EXPECT_THAT(find(StreamId{}, 10, 5000), ::testing::IsEmpty()) << "none is older";
  expire(6000, 10);
  EXPECT_THAT(find(StreamId{}, 10), ::testing::ElementsAre(second)) << "a stream without entries is passed over";
  EXPECT_EQ(*write([](Transaction& tx) -> Result<StreamId> { return newest_stream(tx); }), own);
}

TEST_F(StreamStore, KeepsTheFirstValueOfAName) {
  const auto keep = [&](const char* fresh) {
    return *write([&](Transaction& tx) -> Result<std::string> { return store_value(tx, "epoch", fresh); });
  };
  EXPECT_EQ(*write([](Transaction& tx) -> Result<std::string> { return store_epoch(tx); }), "");
  EXPECT_EQ(keep("one"), "one");
  EXPECT_EQ(keep("two"), "one");
  EXPECT_EQ(*write([](Transaction& tx) -> Result<std::string> { return store_epoch(tx); }), "one");
}

}  // namespace
}  // namespace tidemark::stream
