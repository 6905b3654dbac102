// Streams: the subscriptions that are open on this node's gRPC ports: how many, on which worker, and what ends them
// all.
//
// Owner: each worker owns the list of its own; what is said to be for any thread posts to them. Made at wiring;
// outlives the servers and the workers' run.
#pragma once

#include <functional>
#include <unordered_set>
#include <vector>

#include "account/account.h"
#include "rpc/call_gate.h"
#include "session/session.h"

namespace tidemark::rpc {

struct StreamOptions {
  size_t streams = 10'000;       // open at the same time, with calls that wait for a lock; above: unavailable
  size_t queue_bytes = 1 << 20;  // that wait for one client; above: it is sent away, to come back with its last seq
  std::chrono::milliseconds write_stall{10'000};  // after its end: the time to take the last bytes and the status
};

// One of them, as it is seen from here. Every call on its worker.
struct OpenStream {
  UserKey owner;             // whom its token names
  account::TokenMark token;  // none in dev mode: then it is never revoked
  bool with_token = false;
  SessionId session;  // of the token, empty: none
  std::function<void(const Error&)> end;
};

class Streams {
 public:
  Streams(WorkerPool& workers, const account::Account& account, session::Sessions& sessions, StreamOptions options);

  const StreamOptions& options() const { return options_; }
  // Of streams, and of calls that wait for a lock.
  CallGate& gate() { return gate_; }

  // On the stream's worker. False: its token is good no more, do not begin.
  bool add(OpenStream& stream);
  void remove(OpenStream& stream);

  // Looks at every stream whose token may have been revoked. Any thread.
  void drop_revoked();
  // Ends all of them as unavailable; `done` when the last one has gone. Any thread, once.
  void drain(std::function<void()> done);

 private:
  // Ends each that `why` has an error for.
  void end_where(std::function<std::optional<Error>(const OpenStream&)> why);

  WorkerPool& workers_;
  const account::Account& account_;
  const StreamOptions options_;
  CallGate gate_;
  std::vector<std::unordered_set<OpenStream*>> open_;  // by worker
  std::atomic<size_t> with_session_{0};                // so many have to be told of the end of sessions
};

}  // namespace tidemark::rpc
