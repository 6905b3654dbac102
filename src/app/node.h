// Node: one running Tidemark: every part made, wired and started, drained and stopped. The only place that knows all.
//
// Owner: the thread that made it. start() and stop() once each; drain() before stop() for a gentle end.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "app/config.h"
#include "app/operation.h"
#include "core/random.h"
#include "core/worker.h"
#include "storage/stepper.h"

namespace tidemark::command {
class Table;
}

namespace tidemark::app {

// What a node has from outside, replaced: it runs on one thread, and whoever made it moves its clock and steps its
// workers and its storage. For simulation. Lives longer than the node.
struct SteppedWorld {
  const Clock& clock;
  Random& random;
  storage::Stepper& storage;
  std::function<void()> settle;  // steps everything until nothing moves: what stop() waits for happens in here
};

struct NodeOptions {
  bool dev = false;
  bool closed = false;  // opens no door and starts no job of its own: for one operation
  std::function<void()> on_storage_failure;  // called once, on a storage thread: only a restart recovers
  const SteppedWorld* stepped = nullptr;     // null: threads and the system's clock
};

class Node {
 public:
  // Opens the store and wires everything. Errors say what to do.
  static Result<std::unique_ptr<Node>> make(const Config& config, NodeOptions options);
  ~Node();

  Status start();
  // Refuses newcomers, sends clients away a few at a time; returns when the last one has gone or `drain.grace` and a
  // little more is over.
  void drain();
  // What is accepted is committed; then everything ends.
  void stop();
  // New keys, certificate, limits and log level; on an error all stay as they were. What cannot be changed while running
  // is not looked at.
  Status reload(const Config& config);

  // What an operator asks (app/operation.h). Any thread that is no worker; waits; between start() and stop().
  Status operate(const OperationRequest& request, const OperationAnswer& answer);

  // The ports that the system gave, 0 where nothing listens.
  int http_port() const;
  int session_grpc_port() const;
  int statesync_grpc_port() const;
  WorkerPool& workers();
  // Serves a connected stream socket on that worker, as if it had been accepted. Takes the descriptor.
  void adopt(int worker, int descriptor);
  std::string openapi() const;
  const command::Table& table() const;  // what clients can ask for

 private:
  struct Parts;
  explicit Node(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace tidemark::app
