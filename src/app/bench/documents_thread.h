// The connections of one load thread of `tidemark bench document`.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/bench/document_check.h"
#include "app/bench/operation_calls.h"
#include "app/bench/scenario.h"

namespace tidemark::app {

// What the threads share. Not changed while they run, but for `stop`.
struct DocumentsRun {
  const BenchOptions& options;
  const Target& target;
  const Accounts& accounts;
  std::vector<std::string> ids = {};
  std::atomic<bool> stop{false};  // set by the first thread that fails

  bool writers_follow() const { return options.grpc.empty(); }
  size_t members() const { return options.followers + (writers_follow() ? options.writers : 0); }
  // First the writers of a document, then who only follows it.
  std::string user(size_t document, size_t number) const {
    return accounts.user("m", document * (options.writers + options.followers) + number);
  }
  std::string member(size_t document, size_t number) const {
    return user(document, number + (writers_follow() ? 0 : options.writers));
  }
};

// One thread's documents, each with all its connections: member m of its document d is connection d * members + m.
//
// Owner: the thread that opens and runs it. First open(), then run(), then what was found, then close().
class DocumentsThread final : public LoadHandler {
 public:
  DocumentsThread(DocumentsRun& run, size_t thread);

  // Returns when everybody follows their document.
  Status open(bool several_addresses);
  // Until everything was sent, answered and told, or nothing moves any more.
  Status run(Instant start);
  Status close() {
    client_.close();
    return {};
  }

  void on_text(size_t connection, std::string_view payload, Instant received) override;
  void on_turn() override;

  // `report.elapsed` becomes the longest of all threads.
  void add_to(Report& report, Instant start) const;
  // Compares the server's documents with what was told of them.
  Status compare(Report& report) const;

 private:
  void look_for_subscriptions(Instant now);
  // Tells a document what came for it.
  template <class F>
  void take(size_t number, F tell);
  void take_answers();  // while calls are on their way it is here that the thread waits
  void touch(size_t document);
  void send_by_window(Instant now);
  void send_at_rate(Instant now);  // the documents take turns, and the writers of each
  void send(size_t document, size_t writer, Instant due);

  DocumentsRun& run_;
  const size_t members_;
  SystemClock clock_;
  SeededRandom random_{SystemRandom().next()};
  LoadClient client_;
  const size_t thread_;
  const Share share_;
  std::vector<std::unique_ptr<DocumentCheck>> documents_;
  std::optional<OperationCalls> calls_;
  std::vector<std::string> tokens_;  // of the writers, for calls
  std::vector<bool> is_touched_;
  std::vector<size_t> touched_;  // documents whose writers may have room for an operation
  std::optional<Schedule> schedule_;
  std::optional<Watchdog> watchdog_;
  std::optional<Instant> finish_at_;
  std::optional<Instant> alarm_;
  uint64_t sent_ = 0;
  uint64_t done_ = 0;
  uint64_t arrived_ = 0;
};

}  // namespace tidemark::app
