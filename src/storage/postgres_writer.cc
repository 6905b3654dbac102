#include "storage/postgres_writer.h"

#include <thread>

#include "core/log.h"
#include "core/random.h"
#include "core/uuid.h"
#include "storage/postgres_marks.h"

namespace tidemark::storage {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kTries = 5;  // of one closure by itself
constexpr auto kApartWithin = std::chrono::seconds(3);  // all of a batch: who comes behind it waits as well
// Two that wait for each other give up at the same moment: without chance they would meet again and again.
constexpr uint64_t kAfterCollisionMs = 50;  // at most, times the attempts
// From the COMMIT on: with the last attempt to connect, whoever waits has an answer within about five seconds.
constexpr auto kFindOutWithin = std::chrono::seconds(4);
constexpr auto kConnectToFindOut = std::chrono::milliseconds(1000);
constexpr auto kBetweenQuestions = std::chrono::milliseconds(50);

std::string fresh_id() {
  const SystemClock clock;
  SystemRandom random;
  return make_uuid7(clock, random).str();
}

}  // namespace

PostgresWriter::PostgresWriter(const PostgresOptions& options, PostgresGuard& guard, MetricRegistry& metrics)
    : options_(options),
      guard_(guard),
      queue_(options.queue_jobs_max),
      id_(fresh_id()),
      commit_seconds_(metrics.histogram("tidemark_commit_seconds", "Time of one COMMIT with its fsync.",
                                        exponential_bounds(0.0001, 2, 16))),
      batch_jobs_(metrics.histogram("tidemark_commit_batch_size", "Closures committed together.",
                                    exponential_bounds(1, 2, 11))),
      failed_batches_(metrics.counter("tidemark_commit_failures_total", "Batches that could not be committed.")) {}

void PostgresWriter::loop() {
  std::vector<Job*> jobs;
  for (;;) {
    queue_.take(jobs, options_.batch_jobs_max, 1, [] {});
    if (jobs.empty()) {
      return;
    }
    if (guard_.good()) {
      run_batch(jobs);
    } else {
      refuse(jobs);
    }
    JobRunner::finish(jobs);
    if (unknown_) {
      find_out_later();
    }
  }
}

void PostgresWriter::refuse(std::span<Job* const> jobs) {
  for (Job* const job : jobs) {
    JobRunner::set_status(*job, fail(Code::unavailable));
  }
}

void PostgresWriter::run_batch(std::span<Job* const> jobs) {
  if (jobs.size() == 1) {
    run_apart(jobs);
    return;
  }
  Outcome outcome = run_together(jobs);
  if (outcome == Outcome::lost) {
    outcome = run_together(jobs);  // over a new connection
  }
  switch (outcome) {
    case Outcome::done: return;
    case Outcome::lost:
    case Outcome::silent:
    case Outcome::unknown:
      failed_batches_.add();
      refuse(jobs);
      return;
    default: run_apart(jobs);
  }
}

void PostgresWriter::run_apart(std::span<Job* const> jobs) {
  const Clock::time_point until = Clock::now() + kApartWithin;
  for (Job* const& job : jobs) {
    switch (Clock::now() < until ? run_alone(*job, until) : Outcome::silent) {
      case Outcome::done: break;
      case Outcome::failed:
      case Outcome::again:
      case Outcome::conflict:
      case Outcome::apart:
        failed_batches_.add();
        JobRunner::set_status(*job, failure_);
        break;
      case Outcome::lost:
      case Outcome::silent:
      case Outcome::unknown:
        failed_batches_.add();
        refuse({&job, 1});
    }
  }
}

PostgresWriter::Outcome PostgresWriter::run_alone(Job& job, Clock::time_point until) {
  Job* const one = &job;
  Outcome outcome = Outcome::lost;
  int conflicts = 0;
  int losses = 0;
  for (int attempt = 1; attempt == 1 || (attempt <= kTries && Clock::now() < until); ++attempt) {
    outcome = run_together({&one, 1});
    if (outcome == Outcome::again) {
      const uint64_t longest = kAfterCollisionMs * static_cast<uint64_t>(attempt);
      std::this_thread::sleep_for(std::chrono::milliseconds(SystemRandom().below(longest)));
    } else if (!(outcome == Outcome::conflict && ++conflicts == 1) && !(outcome == Outcome::lost && ++losses == 1)) {
      break;
    }
  }
  return outcome;
}

PostgresWriter::Outcome PostgresWriter::run_together(std::span<Job* const> jobs) {
  // Another transaction would write over the mark of the one that is not known yet.
  if (unknown_ || !guard_.renew(kept_)) {
    return Outcome::silent;
  }
  committing_.reset();
  try {
    return run_closures(jobs);
  } catch (const StatementFailed& failed) {
    return outcome_of(failed, jobs.size() == 1);
  }
}

PostgresWriter::Outcome PostgresWriter::run_closures(std::span<Job* const> jobs) {
  kept_.connection->begin_writing(id_, ++mark_, options_.owner);
  for (Job* const job : jobs) {
    Status status = JobRunner::run(*job, *kept_.connection);
    const bool leftovers = !status.ok() && kept_.connection->may_have_written();
    kept_.connection->end_closure();
    JobRunner::set_status(*job, std::move(status));
    if (leftovers) {
      kept_.connection->rollback();
      return jobs.size() == 1 ? Outcome::done : Outcome::apart;
    }
  }
  kept_.connection->await_begun();
  committing_ = Clock::now();
  if (!kept_.connection->commit()) {
    failure_ = fail(Code::unavailable);
    return Outcome::apart;
  }
  commit_seconds_.observe(std::chrono::duration<double>(Clock::now() - *committing_).count());
  batch_jobs_.observe(static_cast<double>(jobs.size()));
  return Outcome::done;
}

PostgresWriter::Outcome PostgresWriter::outcome_of(const StatementFailed& failed, bool alone) {
  const bool silent = failed.native_code == kPostgresSilent;
  if (silent) {
    guard_.note_failure();
  }
  if (silent || failed.native_code == kPostgresLost) {
    if (committing_) {
      return find_out();
    }
    kept_.connection.reset();
    return silent ? Outcome::silent : Outcome::lost;
  }
  kept_.connection->rollback();
  failure_ = failed.error;
  if (failed.native_code == kPostgresFenced) {
    guard_.give_up("another node has taken the database");
    return Outcome::silent;
  }
  if (!alone) {
    return Outcome::apart;
  }
  switch (failed.native_code) {
    case kPostgresAgain: return Outcome::again;
    case kPostgresConflict: return Outcome::conflict;
    default: return Outcome::failed;
  }
}

// COMMIT was sent and no answer came.
PostgresWriter::Outcome PostgresWriter::find_out() {
  kept_.connection.reset();
  for (const Clock::time_point until = *committing_ + kFindOutWithin; Clock::now() < until;
       std::this_thread::sleep_for(kBetweenQuestions)) {
    try {
      if (kept_.connection == nullptr || kept_.connection->lost()) {
        kept_.connection = std::make_unique<PostgresConnection>(options_, kConnectToFindOut);
      }
      const bool committed = last_mark(*kept_.connection, id_) == mark_;
      log_info("storage.commit_resolved", {{"committed", committed}});
      return committed ? Outcome::done : Outcome::lost;
    } catch (const StatementFailed& failed) {
      if (failed.native_code != kPostgresAgain) {
        kept_.connection.reset();
      }
    }
  }
  guard_.note_failure();
  unknown_ = true;
  log_error("storage.commit_unknown");
  return Outcome::unknown;
}

// Whoever waited was told that it may have been stored. If it was, what is in memory does not know it.
void PostgresWriter::find_out_later() {
  while (unknown_ && !queue_.closed()) {
    if (!guard_.renew(kept_)) {
      std::this_thread::sleep_for(kConnectToFindOut);
      continue;
    }
    try {
      unknown_ = false;
      if (last_mark(*kept_.connection, id_) == mark_) {
        guard_.give_up("a change was stored whose answer was lost");
      }
    } catch (const StatementFailed&) {
      unknown_ = true;
      kept_.connection.reset();
    }
  }
}

}  // namespace tidemark::storage
