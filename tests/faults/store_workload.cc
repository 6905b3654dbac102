#include "store_workload.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <future>

#include "conversation/conversation.h"
#include "core/worker_fixture.h"
#include "device/device_store.h"
#include "stream/store.h"

namespace tidemark::faults {
namespace {

using storage::Database;
using storage::Sql;
using storage::Statement;
using storage::Transaction;

constexpr int kStreams = 3;
constexpr int kAlone = 10;     // messages that are committed one by one
constexpr int kRounds = 2;     // and rounds of messages that are committed together
constexpr int kTogether = 12;

constexpr Sql kPage{"SELECT seq, content FROM entries WHERE stream = ? AND seq > ? ORDER BY seq LIMIT 64"};

std::vector<storage::Migration> all_migrations() {
  std::vector<storage::Migration> all;
  for (const auto& room : {stream::kMigrations, session::kMigrations, device::kMigrations, conversation::kMigrations}) {
    all.insert(all.end(), room.begin(), room.end());
  }
  return all;
}

stream::StreamKey key_of(int stream) {
  return {TenantId("t"), stream::StreamKind::conversation, "c" + std::to_string(stream)};
}

// One row after another of a query on the healthy file.
class Query {
 public:
  Query(sqlite3* connection, const char* sql) {
    EXPECT_EQ(sqlite3_prepare_v2(connection, sql, -1, &statement_, nullptr), SQLITE_OK) << sqlite3_errmsg(connection);
  }
  ~Query() { sqlite3_finalize(statement_); }
  bool next() { return statement_ != nullptr && sqlite3_step(statement_) == SQLITE_ROW; }
  int64_t integer(int column) { return sqlite3_column_int64(statement_, column); }
  std::string text(int column) {
    const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return data == nullptr ? "" : std::string(data, static_cast<size_t>(sqlite3_column_bytes(statement_, column)));
  }

 private:
  sqlite3_stmt* statement_ = nullptr;
};

}  // namespace

StoreWorkload::Message StoreWorkload::message(int number) const {
  // From a few bytes to several pages.
  const size_t size = number % 5 == 4 ? 9000 : static_cast<size_t>(20 + 37 * number);
  return {number % kStreams, "author" + std::to_string(number % 2), "id" + std::to_string(number),
          std::to_string(number) + ":" + std::string(size, static_cast<char>('a' + number % 26))};
}

void StoreWorkload::run() {
  refused_ = late_ = 0;
  storage_failures_ = 0;
  MetricRegistry metrics;
  storage::SqliteOptions options;
  options.path = path_;
  options.readers = 1;
  options.synchronous_full = synchronous_full_;
  options.checkpoint_frames = 12;
  options.checkpoint_frames_max = 40;
  options.batch_jobs_max = 5;  // what comes together is several batches: one is synced while the next one runs
  options.on_failure = [this] { ++storage_failures_; };
  auto database = storage::open_sqlite(std::move(options), metrics);
  opened_ = database.ok();
  if (!opened_) {
    answered(database.error());
    return;
  }
  const auto migrations = all_migrations();
  if (const auto migrated = storage::migrate(**database, migrations); migrated.ok()) {
    use(**database);
  } else {
    answered(migrated.error());
  }
  (*database)->close();  // a checkpoint may still be under way behind the last answer
  EXPECT_EQ((*database)->healthy(), storage_failures_ == 0);
}

void StoreWorkload::use(Database& database) {
  for (int number = 0; number < kAlone; ++number) {
    append(database, message(number));
  }
  for (int round = 0; round < kRounds; ++round) {
    std::vector<Message> together;
    for (int i = 0; i < kTogether; ++i) {
      together.push_back(message(kAlone + round * kTogether + i));
    }
    append_together(database, together);
    for (int stream = 0; stream < kStreams; ++stream) {
      const std::string device = "device" + std::to_string(stream);
      const int64_t seq = 2 + round;
      const Status stored = database.write_now([&](Transaction& tx) -> Status {
        const auto row = stream::find_stream(tx, key_of(stream));
        if (!row) {
          return fail(Code::not_found);
        }
        device::store::raise_cursor(tx, UserKey{TenantId("t"), UserId("u")}, DeviceId(device), row->id, seq);
        return {};
      });
      if (stored.ok()) {
        cursors_[device] = seq;
      } else if (stored.error().code != Code::not_found) {
        answered(stored.error());
      }
    }
    const Status read = database.read_now([&](Transaction& tx) -> Status {
      for (int stream = 0; stream < kStreams; ++stream) {
        if (const auto row = stream::find_stream(tx, key_of(stream))) {
          for (Statement& rows = tx.query(kPage, row->id, 0); rows.next();) {
            EXPECT_FALSE(rows.text(1).empty());
          }
        }
      }
      return {};
    });
    if (!read.ok()) {
      answered(read.error());
    }
  }
}

Result<int64_t> StoreWorkload::append_to(Transaction& tx, const Message& message) {
  const auto row = stream::open_stream(tx, key_of(message.stream), 1000);
  stream::NewEntry entry;
  entry.kind = 1;
  entry.counted = true;
  entry.author = message.author;
  entry.client_id = message.client_id;
  entry.content = message.content;
  entry.body = "{}";
  entry.time_ms = 1000;
  const auto appended = stream::append(tx, row.id, entry);
  if (!appended.ok()) {
    return appended.error();
  }
  return appended->seq;
}

void StoreWorkload::append(Database& database, const Message& message) {
  const bool failed_before = storage_failures_ > 0;
  answered(message, database.write_now([&](Transaction& tx) { return append_to(tx, message); }), failed_before);
}

void StoreWorkload::append_together(Database& database, const std::vector<Message>& messages) {
  const bool failed_before = storage_failures_ > 0;
  std::vector<std::optional<Result<int64_t>>> answers(messages.size());
  size_t left = messages.size() + 1;
  std::promise<void> all_answered;
  std::promise<void> all_queued;
  const std::shared_future<void> queued = all_queued.get_future().share();
  const auto hold = [&]() -> Task<> {
    auto closure = [queued](Transaction&) -> Status {
      queued.wait();
      return {};
    };
    co_await database.write(std::move(closure));
    if (--left == 0) {
      all_answered.set_value();
    }
  };
  const auto write = [&](size_t index) -> Task<> {
    auto closure = [this, &message = messages[index]](Transaction& tx) { return append_to(tx, message); };
    Result<int64_t> answer = co_await database.write(std::move(closure));
    answers[index] = std::move(answer);
    if (--left == 0) {
      all_answered.set_value();
    }
  };
  run_on(workers_.at(0), [&] {
    spawn(hold());
    for (size_t i = 0; i < messages.size(); ++i) {
      spawn(write(i));
    }
    all_queued.set_value();
  });
  all_answered.get_future().wait();
  settle(workers_, 1);  // the last coroutine has left this frame
  for (size_t i = 0; i < messages.size(); ++i) {
    answered(messages[i], *answers[i], failed_before);
  }
}

// The failure may be that of a checkpoint after the commit, and known before the answer is looked at. What counts is what
// was asked after it.
void StoreWorkload::answered(const Message& message, const Result<int64_t>& answer, bool failed_before) {
  if (!answer.ok()) {
    answered(answer.error());
    return;
  }
  late_ += failed_before ? 1 : 0;
  const auto known = acknowledged_.emplace(message.client_id, *answer);
  EXPECT_EQ(known.first->second, *answer) << message.client_id << " was acknowledged as another entry before";
  if (const auto first = first_answers_.find(message.client_id); first != first_answers_.end()) {
    EXPECT_EQ(first->second, *answer);
  }
}

void StoreWorkload::answered(const Error& error) {
  ++refused_;
  EXPECT_EQ(error.code, Code::unavailable) << error.text;
}

void StoreWorkload::check() const {
  sqlite3* connection = nullptr;
  ASSERT_EQ(sqlite3_open_v2(path_.c_str(), &connection, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr), SQLITE_OK);
  const std::unique_ptr<sqlite3, int (*)(sqlite3*)> closer(connection, sqlite3_close);
  Query integrity(connection, "PRAGMA integrity_check");
  ASSERT_TRUE(integrity.next()) << sqlite3_errmsg(connection);
  ASSERT_EQ(integrity.text(0), "ok");
  if (Query tables(connection, "SELECT 1 FROM sqlite_schema WHERE name = 'cursors'"); !tables.next()) {
    ASSERT_TRUE(acknowledged_.empty());  // migrations had not come so far
    return;
  }
  std::map<std::string, int64_t> stored;
  std::map<std::string, std::string> contents;
  std::map<int64_t, int64_t> heads;
  for (Query rows(connection, "SELECT stream, seq, client_id, content FROM entries ORDER BY stream, seq"); rows.next();) {
    ASSERT_EQ(rows.integer(1), ++heads[rows.integer(0)]) << "numbers have holes";
    ASSERT_TRUE(stored.emplace(rows.text(2), rows.integer(1)).second) << rows.text(2) << " is there twice";
    contents[rows.text(2)] = rows.text(3);
  }
  for (Query rows(connection, "SELECT id, head, counted FROM streams"); rows.next();) {
    ASSERT_EQ(rows.integer(1), heads[rows.integer(0)]);
    ASSERT_EQ(rows.integer(2), rows.integer(1));
  }
  for (const auto& [client_id, seq] : acknowledged_) {
    ASSERT_EQ(stored.count(client_id), 1u) << client_id << " was acknowledged and is lost";
    ASSERT_EQ(stored[client_id], seq);
  }
  for (const auto& [client_id, content] : contents) {
    ASSERT_EQ(content, message(std::stoi(client_id.substr(2))).content) << client_id;
  }
  std::map<std::string, int64_t> cursors;
  for (Query rows(connection, "SELECT device, seq FROM cursors"); rows.next();) {
    cursors[rows.text(0)] = rows.integer(1);
  }
  for (const auto& [device, seq] : cursors_) {
    ASSERT_GE(cursors[device], seq) << "the cursor of " << device << " was acknowledged and went back";
  }
}

}  // namespace tidemark::faults
