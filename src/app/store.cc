#include "app/store.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>

#include "account/account.h"
#include "conversation/conversation.h"
#include "core/error_table.h"
#include "core/uuid.h"
#include "device/device.h"
#include "document/document.h"
#include "session/session.h"
#include "storage/postgres_database.h"
#include "storage/sqlite_database.h"
#include "stream/store.h"

namespace tidemark::app {
namespace {

constexpr std::string_view kSqlite = "sqlite:";
constexpr storage::Sql kForgetCursors{"DELETE FROM cursors"};
constexpr storage::Sql kSearchWorks{"SELECT 1", "SELECT length(unaccent('x'))"};
constexpr auto kMigrationMax = std::chrono::hours(1);

bool is_postgres(const Config& config) { return config.storage.url.starts_with("postgres"); }

std::vector<storage::Migration> all_migrations() {
  std::vector<storage::Migration> all;
  for (const auto& room : {stream::kMigrations, account::kMigrations, session::kMigrations, device::kMigrations, conversation::kMigrations,
                           document::kMigrations}) {
    all.insert(all.end(), room.begin(), room.end());
  }
  return all;
}

// Which store it is, and what is wrong with it.
Error about(const std::string& path, const Error& error) {
  return fail(error.code, "the store " + path + " cannot be used: " +
                              std::string(error.text.empty() ? row_of(error.code).text : std::string_view(error.text)));
}

std::string random_hex(Random& random) {
  unsigned char bytes[32];
  random.fill(bytes);
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : bytes) {
    text += kHex[byte >> 4];
    text += kHex[byte & 15];
  }
  return text;
}

storage::PostgresOptions postgres_options(const Config& config) {
  storage::PostgresOptions options;
  options.url = config.storage.url;
  const auto pool = static_cast<int>(config.storage.pool);
  options.writers = std::clamp(static_cast<int>(config.node.workers), 1, pool / 2);
  options.readers = std::clamp(static_cast<int>(config.storage.readers), 1, pool - 1 - options.writers);
  options.statement_timeout = config.storage.statement_timeout;
  options.synchronous_commit = config.storage.synchronous == Synchronous::full;
  return options;
}

// A change of the schema may take longer than any statement of a running node.
Result<int> migrate_postgres(const Config& config) {
  storage::PostgresOptions options = postgres_options(config);
  options.writers = options.readers = 1;
  options.statement_timeout = kMigrationMax;
  MetricRegistry unseen;
  auto database = storage::open_postgres(std::move(options), unseen);
  if (!database.ok()) {
    return database.error();
  }
  const auto migrations = all_migrations();
  return storage::migrate(**database, migrations);
}

Result<std::unique_ptr<storage::Database>> open_database(const Config& config, MetricRegistry& metrics,
                                                         std::function<void()> on_failure, storage::Stepper* stepper) {
  if (is_postgres(config)) {
    storage::PostgresOptions options = postgres_options(config);
    options.on_failure = std::move(on_failure);
    return storage::open_postgres(std::move(options), metrics);
  }
  storage::SqliteOptions options;
  options.path = sqlite_path(config).value_or(":memory:");
  options.readers = static_cast<int>(config.storage.readers);
  options.synchronous_full = config.storage.synchronous == Synchronous::full;
  options.on_failure = std::move(on_failure);
  options.stepper = stepper;
  return storage::open_sqlite(std::move(options), metrics);
}

}  // namespace

int64_t newest_schema() {
  int64_t newest = 0;
  for (const storage::Migration& migration : all_migrations()) {
    newest = std::max<int64_t>(newest, migration.number);
  }
  return newest;
}

std::optional<std::string> sqlite_path(const Config& config) {
  if (!config.storage.url.starts_with(kSqlite)) {
    return std::nullopt;
  }
  return config.storage.url.substr(kSqlite.size());
}

std::optional<std::string> directory_anchor(const Config& config) {
  if (!is_postgres(config)) {
    return sqlite_path(config);
  }
  const char* const runtime = std::getenv("XDG_RUNTIME_DIR");
  const std::string above = runtime != nullptr && *runtime == '/' ? runtime : "/tmp";
  // One directory for each database and node: a number stands for the URL, which may hold a password.
  const size_t number = std::hash<std::string>()(config.storage.url);
  return above + "/tidemark-" + std::to_string(::geteuid()) + "-" + config.node.id + "-" + std::to_string(number) +
         "/postgresql";
}

Result<Store> open_store(const Config& config, MetricRegistry& metrics, const Clock& clock, Random& random,
                         std::function<void()> on_failure, storage::Stepper* stepper) {
  Store store;
  const std::string path = sqlite_path(config).value_or(is_postgres(config) ? "in PostgreSQL" : ":memory:");
  if (const auto anchor = directory_anchor(config)) {
    auto directory = DataDirectory::open(*anchor);
    if (!directory.ok()) {
      return directory.error();
    }
    if (const Status ours = is_postgres(config) ? directory->check_private() : Status(); !ours.ok()) {
      return ours.error();
    }
    store.directory.emplace(std::move(*directory));
  }
  Result<int> migrated = 0;
  if (is_postgres(config)) {
    migrated = migrate_postgres(config);
    if (!migrated.ok()) {
      return about(path, migrated.error());
    }
  }
  auto database = open_database(config, metrics, std::move(on_failure), stepper);
  if (!database.ok()) {
    return fail(Code::unavailable, "the store cannot be opened: " + database.error().text);
  }
  store.database = std::move(*database);
  if (!is_postgres(config)) {
    const auto migrations = all_migrations();
    migrated = storage::migrate(*store.database, migrations);
    if (!migrated.ok()) {
      return about(path, migrated.error());
    }
  }
  store.migrations = *migrated;
  const auto search_works = store.database->read_now([](storage::Transaction& tx) -> Result<bool> {
    return tx.query(kSearchWorks).next();
  });
  if (!search_works.ok() && search_works.error().code == Code::internal) {
    return about(path, fail(Code::unavailable, "the extension unaccent is not found: put its schema into the search_path"));
  }
  const std::string fresh_epoch = make_uuid7(clock, random).str();
  const std::string fresh_key = random_hex(random);
  const auto values = store.database->write_now(
      [&](storage::Transaction& tx) -> Result<std::pair<std::string, std::string>> {
        if (stream::store_epoch(tx).empty()) {
          tx.execute(kForgetCursors);  // new, or restored by other means: a cursor says nothing about what is there now
        }
        return std::pair(stream::store_value(tx, "epoch", fresh_epoch), stream::store_value(tx, "session_key", fresh_key));
      });
  if (!values.ok()) {
    return about(path, values.error());
  }
  store.epoch = values->first;
  store.session_key = Secret(values->second);
  return store;
}

}  // namespace tidemark::app
