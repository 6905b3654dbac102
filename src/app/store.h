// Opening the configured store: the only place that names a storage backend.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "app/config.h"
#include "app/data_directory.h"
#include "core/metrics.h"
#include "core/random.h"
#include "storage/database.h"
#include "storage/stepper.h"

namespace tidemark::app {

struct Store {
  std::optional<DataDirectory> directory;  // with its lock and its control socket; none for memory:
  std::unique_ptr<storage::Database> database;
  std::string epoch;
  Secret session_key;   // signs session tokens
  int migrations = 0;   // applied now
};

// Takes the data directory, opens the database, brings its schema up to date. With a stepper the database has no threads.
Result<Store> open_store(const Config& config, MetricRegistry& metrics, const Clock& clock, Random& random,
                         std::function<void()> on_failure, storage::Stepper* stepper = nullptr);

// The number of the newest migration that this program knows.
int64_t newest_schema();

// The database file of storage.url; nothing for other stores.
std::optional<std::string> sqlite_path(const Config& config);
// A path in the directory that a node of this configuration holds: that of the database file; for PostgreSQL one below
// the runtime directory ($XDG_RUNTIME_DIR, else /tmp), with the node's own name. Nothing for memory:.
std::optional<std::string> directory_anchor(const Config& config);

}  // namespace tidemark::app
