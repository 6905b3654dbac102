#include "app/store.h"

#include <algorithm>

#include "account/account.h"
#include "conversation/conversation.h"
#include "core/error_table.h"
#include "core/uuid.h"
#include "device/device.h"
#include "document/document.h"
#include "session/session.h"
#include "storage/sqlite_database.h"
#include "stream/store.h"

namespace tidemark::app {
namespace {

constexpr std::string_view kSqlite = "sqlite:";

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

Result<Store> open_store(const Config& config, MetricRegistry& metrics, const Clock& clock, Random& random,
                         std::function<void()> on_failure, storage::Stepper* stepper) {
  Store store;
  storage::SqliteOptions options;
  const std::string path = sqlite_path(config).value_or(":memory:");
  options.path = path;
  options.readers = static_cast<int>(config.storage.readers);
  options.synchronous_full = config.storage.synchronous == Synchronous::full;
  options.on_failure = std::move(on_failure);
  options.stepper = stepper;
  if (path != ":memory:") {
    auto directory = DataDirectory::open(path);
    if (!directory.ok()) {
      return directory.error();
    }
    store.directory.emplace(std::move(*directory));
  }
  auto database = storage::open_sqlite(std::move(options), metrics);
  if (!database.ok()) {
    return fail(Code::unavailable, "the store cannot be opened: " + database.error().text);
  }
  store.database = std::move(*database);
  const auto migrations = all_migrations();
  const auto migrated = storage::migrate(*store.database, migrations);
  if (!migrated.ok()) {
    return about(path, migrated.error());
  }
  store.migrations = *migrated;
  const std::string fresh_epoch = make_uuid7(clock, random).str();
  const std::string fresh_key = random_hex(random);
  const auto values = store.database->write_now(
      [&](storage::Transaction& tx) -> Result<std::pair<std::string, std::string>> {
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
