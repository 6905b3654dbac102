// The scenarios of `tidemark bench`, and what they have in common.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "app/bench/document_replica.h"
#include "app/bench/load_client.h"
#include "app/bench/load_tls.h"
#include "app/bench/process_stats.h"
#include "app/bench/report.h"
#include "app/bench/target.h"
#include "core/clock.h"
#include "core/result.h"
#include "core/secret.h"

namespace tidemark::app {

// As typed. Each scenario reads its own part.
struct BenchOptions {
  std::string url = "ws://127.0.0.1:8080";
  ServerCheck check;  // of wss://
  Secret secret;
  std::string tenant = "default";
  size_t threads = 1;
  pid_t pid = 0;  // of the server; 0: not on this machine or not of interest

  size_t payload = 128;    // bytes of a message's content
  size_t window = 1;       // messages in flight: from each sender to all its receivers
  double rate = 0;         // messages a second of all senders together, whatever is in flight; 0: by window
  uint64_t messages = 0;   // of all senders together; 0: for `seconds`
  double seconds = 5;

  Dialect dialect = Dialect::tidemark;  // fanout, direct, idle
  size_t subscribers = 1000;            // fanout
  size_t pairs = 100;                   // direct; append: senders
  bool ephemeral = false;               // direct: typing signals
  size_t connections = 1000;            // idle
  size_t group_size = 100;              // idle: users to a conversation; 0: none
  size_t groups = 1;                    // idle: conversations of each user
  double hold = 1;                      // idle: seconds from the last connection to the second look at the server
  size_t burst = 0;                     // idle: messages into each conversation before a third look
  size_t devices = 10'000;              // storm
  size_t entries = 20;                  // storm: waiting for each device
  size_t at_once = 2000;                // storm: handshakes in flight
  std::string read = "messages";        // history
  size_t stored = 10'000;               // history of messages: in the conversation
  size_t readers = 10;                  // history of messages
  size_t limit = 50;                    // history of messages: of one request
  size_t conversations = 200;           // history of conversations
  DocumentKind kind = DocumentKind::whiteboard;  // document
  size_t documents = 10;                         // document
  size_t writers = 2;                            // document: of each
  size_t followers = 2;                          // document: of each, beside its writers
  size_t text_length = 10'000;                   // document: code points of a text
  std::string grpc;                              // document: address that operations go to; empty: the WebSocket
};

// Each opens its connections, measures and closes them; waits until that is done. unavailable with the first thing that
// was not as it should be, if the measurement could not be carried through.
Result<Report> run_fanout(const BenchOptions& options, const Target& target, const Accounts& accounts);
Result<Report> run_direct(const BenchOptions& options, const Target& target, const Accounts& accounts);
Result<Report> run_append(const BenchOptions& options, const Target& target, const Accounts& accounts);
Result<Report> run_storm(const BenchOptions& options, const Target& target, const Accounts& accounts);
Result<Report> run_history(const BenchOptions& options, const Target& target, const Accounts& accounts);
Result<Report> run_document(const BenchOptions& options, const Target& target, const Accounts& accounts);
Result<Report> run_idle(const BenchOptions& options, const Target& target, const Accounts& accounts);

// Runs `work` for 0 to `threads` - 1, each on its own thread (one: on the caller's), and returns the first failure.
Status on_threads(size_t threads, const std::function<Status(size_t thread)>& work);

// How many of `total` fall to `thread`, and where they begin.
struct Share {
  size_t first = 0;
  size_t count = 0;
};
Share share_of(size_t total, size_t threads, size_t thread);

// Allows this process the file descriptors for that many connections; unavailable if the system does not.
Status reserve_sockets(size_t connections);

// Whether one local address has too few ports for that many connections, and the server can be reached from others.
bool needs_several_addresses(const Target& target, size_t connections);

std::chrono::nanoseconds to_nanoseconds(double seconds);

// "8 messages in flight" or "50 messages a second".
std::string pace_text(const BenchOptions& options);

// What the server and this process use between here and finish(), for `report`, which outlives this.
class Measurement {
 public:
  Measurement(const BenchOptions& options, Report& report);
  // Fills in server_before, server_after (if a pid was given) and own_cpu. not_found if there is no such process.
  Status finish();
  // Fills in server_after_burst.
  Status look_after_burst() { return look(report_.server_after_burst); }

 private:
  Status look(std::optional<ProcessStats>& stats) const;

  const pid_t pid_;
  Report& report_;
  std::chrono::microseconds own_cpu_before_;
  Status looked_;
};

// When to send: by a window or at a rate, up to a number of messages or a time. Owner: one sender's thread.
class Schedule {
 public:
  struct Limits {
    size_t window = 1;      // used if rate is 0
    double rate = 0;        // messages a second
    uint64_t messages = 0;  // 0: until the time is over
    std::chrono::nanoseconds length{};
  };

  Schedule(const Limits& limits, Instant start) : limits_(limits), start_(start) {}

  // Whether a message is to be sent now, when `sent` were sent and `in_flight` of them are on their way; and since when
  // it is due. At a rate that is the moment it was planned for, however late it is: else a server that hesitates would
  // look fast because it was asked less (coordinated omission).
  std::optional<Instant> due(Instant now, uint64_t sent, uint64_t in_flight) const;
  // Whether all has been sent.
  bool over(Instant now, uint64_t sent) const;
  // When to ask again, if no answer comes before; none: only an answer or the end of the time changes anything.
  std::optional<Instant> next(uint64_t sent) const;

 private:
  Instant planned(uint64_t number) const;

  Limits limits_;
  Instant start_;
};

// Notices that nothing moves any more.
class Watchdog {
 public:
  static constexpr std::chrono::seconds kPatience{10};

  explicit Watchdog(Instant now) : last_change_(now) {}
  // True if `progress` has been the same for kPatience.
  bool stuck(Instant now, uint64_t progress) {
    if (progress != progress_) {
      progress_ = progress;
      last_change_ = now;
    }
    return now - last_change_ > kPatience;
  }

 private:
  uint64_t progress_ = UINT64_MAX;
  Instant last_change_;
};

}  // namespace tidemark::app
