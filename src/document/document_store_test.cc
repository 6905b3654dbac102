#include "document/document_store.h"

#include <gtest/gtest.h>

#include "document/document.h"
#include "storage/sqlite_database.h"

namespace tidemark::document {
namespace {

using storage::Transaction;

class DocumentStore : public ::testing::Test {
 protected:
  DocumentStore() {
    storage::SqliteOptions options;
    options.path = ":memory:";
    auto opened = storage::open_sqlite(std::move(options), metrics_);
    TIDEMARK_CHECK(opened.ok());
    database_ = std::move(*opened);
    TIDEMARK_CHECK(storage::migrate(*database_, stream::kMigrations).ok());
    TIDEMARK_CHECK(storage::migrate(*database_, kMigrations).ok());
  }
  ~DocumentStore() override { database_->close(); }

  // What `function` returns in a write transaction.
  template <class F>
  auto in(F function) {
    using T = std::invoke_result_t<F&, Transaction&>;
    auto answer = database_->write_now([&](Transaction& tx) -> Result<T> { return function(tx); });
    TIDEMARK_CHECK(answer.ok());
    return std::move(*answer);
  }

  Details make(const std::string& id, const std::string& owner = "olga", const std::string& tenant = "t") {
    return in([&](Transaction& tx) {
      Details details;
      details.id = id;
      details.name = "n";
      details.created_by = owner;
      details.metadata.permissions = Permissions{owner, {"ed"}, {}, false};
      details.stream =
          stream::open_stream(tx, stream::StreamKey(TenantId(tenant), stream::StreamKind::document, id), 1).id;
      store::insert(tx, TenantId(tenant), details, {}, 0);
      store::put_snapshot(tx, details.stream, {1, 0, "first"});
      return details;
    });
  }
  // One entry; an operation makes a version.
  bool add(Details& details, EntryKind kind, const std::string& client_id = {}) {
    return in([&](Transaction& tx) {
      const bool counted = kind == EntryKind::operation_applied;
      stream::Entry entry;
      entry.seq = details.head + 1;
      entry.kind = static_cast<int>(kind);
      entry.ordinal = details.version - 1 + (counted ? 1 : 0);
      entry.author = "ed";
      Operation operation;
      operation.version = entry.ordinal + 1;
      entry.body = operation_body(operation);
      entry.content = "trail";
      if (!store::put_entry(tx, details.stream, entry, client_id, 7)) {
        return false;
      }
      store::set_head(tx, details.stream, {entry.seq, entry.ordinal}, 2);
      details.head = entry.seq;
      details.version = version_of(entry.ordinal);
      return true;
    });
  }

  MetricRegistry metrics_;
  std::unique_ptr<storage::Database> database_;
};

TEST_F(DocumentStore, ADocumentIsFoundInItsTenantOnly) {
  make("d");
  const auto found = in([](Transaction& tx) { return store::find(tx, TenantId("t"), "d"); });
  ASSERT_TRUE(found);
  EXPECT_EQ(found->version, 1);
  EXPECT_EQ(found->metadata.permissions->editors, std::vector<std::string>{"ed"});
  EXPECT_FALSE(found->lock);
  EXPECT_FALSE(in([](Transaction& tx) { return store::find(tx, TenantId("u"), "d"); }));
}

TEST_F(DocumentStore, AnEntryIsThePlaceOfItsVersion) {
  Details details = make("d");
  add(details, EntryKind::lock_acquired);      // 1, version 1
  add(details, EntryKind::operation_applied);  // 2, version 2
  add(details, EntryKind::lock_released);      // 3, version 2
  add(details, EntryKind::operation_applied);  // 4, version 3
  const auto place = [&](int64_t version) {
    return in([&](Transaction& tx) {
      return store::seq_of_version(tx, *store::find(tx, TenantId("t"), "d"), version);
    });
  };
  EXPECT_EQ(place(1), 0) << "nothing made it";
  EXPECT_EQ(place(2), 2);
  EXPECT_EQ(place(3), 4);
}

TEST_F(DocumentStore, ARepeatedIdIsNotStored) {
  Details details = make("d");
  EXPECT_TRUE(add(details, EntryKind::operation_applied, "id"));
  EXPECT_FALSE(add(details, EntryKind::operation_applied, "id"));
  EXPECT_TRUE(add(details, EntryKind::operation_applied));
  EXPECT_TRUE(add(details, EntryKind::operation_applied));
  const auto first = in([&](Transaction& tx) { return store::entry_of(tx, details.stream, "ed", "id"); });
  ASSERT_TRUE(first);
  EXPECT_EQ(first->entry.seq, 1);
  EXPECT_EQ(first->hash, 7);
  EXPECT_EQ(first->entry.content, "trail");
}

TEST_F(DocumentStore, CompactionRaisesTheFloorToASnapshotInSteps) {
  Details details = make("d");
  for (int i = 0; i < 10; ++i) {
    add(details, EntryKind::operation_applied);
    add(details, EntryKind::lock_acquired);
  }
  in([&](Transaction& tx) {
    store::put_snapshot(tx, details.stream, {6, 10, "sixth"});
    store::put_snapshot(tx, details.stream, {11, 20, "eleventh"});
    return true;
  });
  const auto step = [&] { return in([&](Transaction& tx) { return store::compact(tx, details.stream, 8, 4); }); };
  EXPECT_TRUE(step());
  const auto now = [&] { return *in([](Transaction& tx) { return store::find(tx, TenantId("t"), "d"); }); };
  EXPECT_EQ(now().floor_version, 6) << "what is going cannot be asked for";
  EXPECT_EQ(now().floor, 4);
  EXPECT_TRUE(step());
  EXPECT_FALSE(step());
  EXPECT_EQ(now().floor, 10);
  EXPECT_FALSE(step());
  EXPECT_FALSE(in([&](Transaction& tx) { return store::snapshot_at(tx, details.stream, 5); }));
  EXPECT_EQ(in([&](Transaction& tx) { return store::snapshot_at(tx, details.stream, 10); })->state, "sixth");
  EXPECT_EQ(in([&](Transaction& tx) { return store::operations_after(tx, details.stream, 10, 100).size(); }), 5u);
  const Details compacted = now();
  EXPECT_EQ(in([&](Transaction& tx) { return store::seq_of_version(tx, compacted, 6); }), 10);
  EXPECT_EQ(in([&](Transaction& tx) { return store::seq_of_version(tx, compacted, 7); }), 11);
}

TEST_F(DocumentStore, TheLockIsKeptWithItsFence) {
  Details details = make("d");
  details.fence = 4;
  details.lock_ttl_ms = 500;
  details.lock = Lock{"l", "d", "ed", "s", 100, 600, true, 4};
  in([&](Transaction& tx) {
    store::set_lock(tx, details);
    return true;
  });
  const auto found = in([](Transaction& tx) { return store::find(tx, TenantId("t"), "d"); });
  ASSERT_TRUE(found->lock);
  EXPECT_EQ(found->lock->session_id, "s");
  EXPECT_EQ(found->lock->fence, 4);
  EXPECT_EQ(found->lock->expires_at, 600);
  EXPECT_EQ(in([](Transaction& tx) { return store::locked(tx).size(); }), 1u);
  details.lock.reset();
  in([&](Transaction& tx) {
    store::set_lock(tx, details);
    return true;
  });
  EXPECT_EQ(in([](Transaction& tx) { return store::find(tx, TenantId("t"), "d"); })->fence, 4);
  EXPECT_TRUE(in([](Transaction& tx) { return store::locked(tx); }).empty());
}

TEST_F(DocumentStore, ConflictsAndWhatWaitsAreKeptInOrder) {
  const Details details = make("d");
  in([&](Transaction& tx) {
    for (int64_t number = 1; number <= 3; ++number) {
      ConflictRow row;
      row.number = number;
      row.open = number != 2;
      row.operation_author = "ed";
      row.operation_id = "op" + std::to_string(number);
      row.parked = {"update", "{}", 5};
      row.conflict.id = "c" + std::to_string(number);
      store::put_conflict(tx, details.stream, row);
      Pending pending;
      pending.number = number;
      pending.operation.id = "p" + std::to_string(number);
      store::put_pending(tx, details.stream, pending);
    }
    store::drop_pending(tx, details.stream, 2);
    return true;
  });
  const auto ids = [&](bool open_only, int64_t limit) {
    std::string text;
    for (const Conflict& one : in([&](Transaction& tx) { return store::conflicts(tx, details.stream, open_only, limit); })) {
      text += one.id;
    }
    return text;
  };
  EXPECT_EQ(ids(false, 10), "c1c2c3");
  EXPECT_EQ(ids(true, 10), "c1c3");
  EXPECT_EQ(ids(false, 2), "c2c3") << "the newest";
  EXPECT_EQ(in([&](Transaction& tx) { return store::conflict(tx, details.stream, "c1"); })->parked.version, 5);
  EXPECT_EQ(in([&](Transaction& tx) { return store::conflict_of_operation(tx, details.stream, "ed", "op3"); })->id, "c3");
  const auto waiting = in([&](Transaction& tx) { return store::pending(tx, details.stream); });
  ASSERT_EQ(waiting.size(), 2u);
  EXPECT_EQ(waiting[1].operation.id, "p3");
  const Stats stats = in([](Transaction& tx) { return store::stats(tx, TenantId("t")); });
  EXPECT_EQ(stats.total_conflicts, 3);
  EXPECT_EQ(stats.resolved_conflicts, 1);
}

TEST_F(DocumentStore, TheListIsFilteredAndCounted) {
  for (const char* id : {"a", "b", "c"}) {
    make(id, std::string(id) == "c" ? "carl" : "olga");
  }
  make("other", "olga", "u");
  Details archived = make("d");
  archived.state = State::archived;
  archived.metadata.permissions->is_public = true;
  in([&](Transaction& tx) {
    store::set_details(tx, TenantId("t"), archived);
    return true;
  });
  const auto total = [&](auto change) {
    ListFilter filter;
    filter.tenant = TenantId("t");
    filter.limit = 2;
    change(filter);
    return in([&](Transaction& tx) { return store::list(tx, filter).total; });
  };
  EXPECT_EQ(total([](ListFilter&) {}), 4);
  EXPECT_EQ(total([](ListFilter& filter) { filter.reader = "olga"; }), 3);
  EXPECT_EQ(total([](ListFilter& filter) { filter.reader = "carl"; }), 2) << "the own one and the public one";
  EXPECT_EQ(total([](ListFilter& filter) { filter.reader = "ed"; }), 4);
  EXPECT_EQ(total([](ListFilter& filter) { filter.created_by = "carl"; }), 1);
  EXPECT_EQ(total([](ListFilter& filter) { filter.state = State::archived; }), 1);
  EXPECT_EQ(total([](ListFilter& filter) { filter.type = Type::text; }), 0);
}

}  // namespace
}  // namespace tidemark::document
