// For tests: a fixed piece of work on a store, and what must hold after whatever happened to it.
//
// Works as the server does: opens, migrates, appends to several streams alone and in batches, raises cursors, reads,
// checkpoints on the way, closes. Notes what was answered. Never fails by itself.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/worker.h"
#include "storage/sqlite_database.h"

namespace tidemark::faults {

class StoreWorkload {
 public:
  StoreWorkload(std::string path, WorkerPool& workers, bool synchronous_full = true)
      : path_(std::move(path)), workers_(workers), synchronous_full_(synchronous_full) {}

  void run();  // all of it; a second run sends the same again, with the same ids

  // The store as a healthy process finds it: everything that was acknowledged, everything else at most once, numbers
  // without holes, an intact file. Adds failures to the test.
  void check() const;

  bool opened() const { return opened_; }
  bool all_done() const { return refused_ == 0 && opened_; }
  int refused() const { return refused_; }
  int storage_failures() const { return storage_failures_; }        // calls of on_failure
  int acknowledged_after_failure() const { return late_; }          // writes asked for after it and acknowledged
  size_t acknowledged() const { return acknowledged_.size(); }
  void expect_all_duplicates() { first_answers_ = acknowledged_; }  // of the next run

 private:
  struct Message {
    int stream;
    std::string author;
    std::string client_id;
    std::string content;
  };

  void use(storage::Database& database);
  Result<int64_t> append_to(storage::Transaction& tx, const Message& message);
  void append(storage::Database& database, const Message& message);
  void append_together(storage::Database& database, const std::vector<Message>& messages);
  void answered(const Message& message, const Result<int64_t>& answer, bool failed_before);
  void answered(const Error& error);
  Message message(int number) const;

  const std::string path_;
  WorkerPool& workers_;
  const bool synchronous_full_;
  bool opened_ = false;
  int refused_ = 0;
  int late_ = 0;
  std::atomic<int> storage_failures_{0};
  std::map<std::string, int64_t> acknowledged_;  // client id -> seq
  std::map<std::string, int64_t> first_answers_;
  std::map<std::string, int64_t> cursors_;  // device -> seq, acknowledged
};

}  // namespace tidemark::faults
