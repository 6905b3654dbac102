#include "storage/postgres_guard.h"

#include <pthread.h>

#include <utility>

#include "core/log.h"
#include "storage/postgres_marks.h"

namespace tidemark::storage {
namespace {

constexpr auto kBetweenProbes = std::chrono::seconds(1);
// The server may still hold the connection of a node that was killed a moment ago.
constexpr int kLockAttempts = 30;
constexpr int kTakeOverAttempts = 10;  // each waits for a lock
constexpr auto kBetweenLockAttempts = std::chrono::milliseconds(100);

}  // namespace

Status PostgresGuard::start() {
  try {
    connection_ = std::make_unique<PostgresConnection>(options_);
    for (int attempt = 1; options_.alone && !take_lock(*connection_); ++attempt) {
      if (attempt == kLockAttempts) {
        return fail(Code::unavailable, "another node uses this database: stop it, or give this one its own database");
      }
      std::this_thread::sleep_for(kBetweenLockAttempts);
    }
    make_marks(*connection_);
    take_database();
    backend_ = connection_->backend();
  } catch (const StatementFailed& failed) {
    return failed.error;
  }
  good_.store(true);
  thread_ = std::thread([this] { watch(); });
  pthread_setname_np(thread_.native_handle(), "storage-guard");
  return {};
}

void PostgresGuard::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) {
    thread_.join();
  }
  connection_.reset();
}

void PostgresGuard::note_failure() {
  good_.store(false);
  {
    const std::lock_guard lock(mutex_);
    asked_ = true;
  }
  changed_.notify_one();
}

bool PostgresGuard::renew(KeptConnection& kept) {
  const uint64_t generation = generation_.load();
  if (kept.connection != nullptr && !kept.connection->lost() && kept.generation == generation) {
    return true;
  }
  kept.connection.reset();
  try {
    kept.connection = std::make_unique<PostgresConnection>(options_);
    kept.generation = generation;
    return true;
  } catch (const StatementFailed&) {
    note_failure();  // the watching thread says why
    return false;
  }
}

void PostgresGuard::give_up(std::string_view why) {
  if (given_up_.exchange(true)) {
    return;
  }
  log_error("storage.given_up", {{"why", why}});
  if (options_.on_failure) {
    options_.on_failure();
  }
}

void PostgresGuard::watch() {
  bool answered = true;
  bool was_asked = false;  // and nobody has made a new connection since
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kBetweenProbes, [this] { return stopping_ || asked_; });
      if (stopping_) {
        return;
      }
      was_asked = std::exchange(asked_, false) || was_asked;
    }
    if (given_up_.load()) {
      continue;
    }
    try {
      probe();
      if (was_asked) {
        const PostgresConnection another(options_);  // those who failed need one, too
        was_asked = false;
      }
      if (!answered) {
        log_info("storage.restored");
      }
      answered = true;
      if (!good_.load()) {
        generation_.fetch_add(1);
        good_.store(true);
      }
    } catch (const StatementFailed& failed) {
      good_.store(false);
      if (failed.native_code == kPostgresFenced) {
        give_up("another node has taken the database");
        continue;
      }
      if (answered) {
        log_error("storage.unreachable", {{"why", failed.error.text}});
      }
      answered = false;
      // Not asked again at once by those who fail meanwhile.
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kBetweenProbes, [this] { return stopping_; });
    }
  }
}

void PostgresGuard::probe() {
  if (connection_ != nullptr && !connection_->lost()) {
    try {
      connection_->run("SELECT 1");
      return;
    } catch (const StatementFailed&) {
    }
  }
  connection_.reset();
  auto fresh = std::make_unique<PostgresConnection>(options_);
  if (options_.alone && owner_of(*fresh) != options_.owner) {
    throw StatementFailed{fail(Code::unavailable), kPostgresFenced};
  }
  if (options_.alone && !take_lock(*fresh)) {
    end_lock_of(*fresh, backend_);
    throw StatementFailed{fail(Code::unavailable, "the lock of this database is held: by an old connection of this node,"
                                                  " which is being ended, or by another node"), kPostgresOther};
  }
  connection_ = std::move(fresh);
  backend_ = connection_->backend();
}

// Waits for the last transactions of the owner before.
void PostgresGuard::take_database() {
  for (int attempt = 1; options_.alone; ++attempt) {
    try {
      take_over(*connection_, options_.owner);
      return;
    } catch (const StatementFailed& failed) {
      if (failed.native_code != kPostgresAgain || attempt == kTakeOverAttempts) {
        throw;
      }
    }
  }
}

}  // namespace tidemark::storage
