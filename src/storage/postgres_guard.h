// PostgresGuard: whether PostgreSQL can be used now, and that nobody else uses the database. Used only by the files
// storage/postgres_*.
//
// A circuit breaker: after a failure every call is refused at once, until a thread of its own has got an answer from the
// server; it asks immediately, then every second. The same connection holds the lock of a database that one node alone
// may use; without the lock nothing is allowed. Who has the lock writes its name into `node_owner`, which each writing
// transaction looks at. A node that finds another name there has memory that may not be true any more: on_failure().
//
// Owner: good() and note_failure() from any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "storage/postgres_connection.h"

namespace tidemark::storage {

// What a storage thread keeps of a connection; the guard makes it.
struct KeptConnection {
  std::unique_ptr<PostgresConnection> connection;
  uint64_t generation = 0;  // made after so many failures
};

class PostgresGuard {
 public:
  explicit PostgresGuard(const PostgresOptions& options) : options_(options) {}
  ~PostgresGuard() { stop(); }

  // Connects, takes the lock, begins to watch. `unavailable`: the server does not answer, or another node has the lock.
  Status start();
  void stop();

  bool good() const { return good_.load() && !given_up_.load(); }
  void note_failure();
  // A connection that can be used, made anew if it is lost or older than the newest failure: what made one fall silent
  // may have taken all. False: there is none to be had; the failure is noted.
  bool renew(KeptConnection& kept);
  // What is in memory may differ from what is stored: says so once, and allows nothing any more.
  void give_up(std::string_view why);

 private:
  void watch();
  void probe();  // throws StatementFailed
  void take_database();

  const PostgresOptions& options_;
  std::unique_ptr<PostgresConnection> connection_;  // the watching thread's
  int backend_ = 0;  // the server's process at its other end, or at that of the one before
  std::atomic<bool> good_{false};
  std::atomic<bool> given_up_{false};
  std::atomic<uint64_t> generation_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool asked_ = false;     // guarded by mutex_
  bool stopping_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace tidemark::storage
