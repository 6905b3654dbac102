#include "storage/postgres_guard.h"

#include <pthread.h>

#include "core/log.h"

namespace tidemark::storage {
namespace {

constexpr auto kBetweenProbes = std::chrono::seconds(1);
// The server may still hold the connection of a node that was killed a moment ago.
constexpr int kLockAttempts = 30;
constexpr auto kBetweenLockAttempts = std::chrono::milliseconds(100);
// "tidm", 1: a pair of numbers of our own (https://www.postgresql.org/docs/15/explicit-locking.html#ADVISORY-LOCKS).
constexpr const char* kTakeLock = "SELECT CASE WHEN pg_try_advisory_lock(1953064045, 1) THEN 'mine' ELSE '' END";

}  // namespace

Status PostgresGuard::start() {
  try {
    connection_ = std::make_unique<PostgresConnection>(options_);
    for (int attempt = 1; options_.alone && !take_lock(); ++attempt) {
      if (attempt == kLockAttempts) {
        return fail(Code::unavailable, "another node uses this database: stop it, or give this one its own database");
      }
      std::this_thread::sleep_for(kBetweenLockAttempts);
    }
    connection_->make_marks();
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

void PostgresGuard::watch() {
  bool answered = true;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kBetweenProbes, [this] { return stopping_ || asked_; });
      if (stopping_) {
        return;
      }
      asked_ = false;
    }
    try {
      probe();
      if (!answered) {
        log_info("storage.restored");
      }
      answered = true;
      good_.store(true);
    } catch (const StatementFailed& failed) {
      connection_.reset();
      good_.store(false);
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
  connection_ = std::make_unique<PostgresConnection>(options_);
  if (options_.alone && !take_lock()) {
    throw StatementFailed{fail(Code::unavailable, "another node has taken this database meanwhile"), kPostgresOther};
  }
}

bool PostgresGuard::take_lock() { return connection_->run(kTakeLock) == "mine"; }

}  // namespace tidemark::storage
