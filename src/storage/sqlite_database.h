// Database on one SQLite file: one thread does every write and every checkpoint, reader threads stand beside it.
//
// Group commit: what is queued when the last fsync returns is committed together; a closure that fails undoes itself
// only, as if each had its own savepoint.
// Invariants:
//  1. A job is answered only after the COMMIT of its batch has returned and an fsync behind it, or with an error. Neither
//     is a read that may have seen the batch answered before.
//  2. After each closure the transaction is checked: SQLite rolls the whole batch back on a full disk or an I/O error,
//     and a savepoint opened after that would commit by itself. Then every closure of the batch answers `unavailable`.
//  3. After a failed fsync nothing is committed any more: the kernel may have dropped the dirty pages and report success
//     the next time. healthy() is false and `on_failure` is called once; only a restart recovers.
//  4. Only the writer's connection checkpoints: SQLite 3.40 can lose a WAL reset when two connections do.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/metrics.h"
#include "storage/database.h"
#include "storage/stepper.h"

namespace tidemark::storage {

struct SqliteOptions {
  std::string path;                  // a file, or ":memory:" (then the writer's connection also reads)
  int readers = 2;                   // reader threads
  bool synchronous_full = true;      // false: NORMAL, which may lose acknowledged commits at a power cut
  size_t queue_jobs_max = 65536;     // beyond: `unavailable` at once
  size_t batch_jobs_max = 1024;      // closures in one commit
  size_t held_reads_max = 1024;      // reads that ran and wait for an fsync; beyond, the readers wait, too
  int checkpoint_frames = 500;        // WAL frames after which a PASSIVE checkpoint runs, if there is time
  int checkpoint_frames_max = 16000;  // and after which it runs in any case
  std::function<void()> on_failure;  // called on the storage thread after a failed fsync
  Stepper* stepper = nullptr;        // steps instead of threads; lives longer than the database
};

// Opens the file (made if absent), makes durable what a crash left in the WAL, and starts the threads.
Result<std::unique_ptr<Database>> open_sqlite(SqliteOptions options, MetricRegistry& metrics);

}  // namespace tidemark::storage
