// What a Node is made of. Private to node.cc, node_rooms.cc and node_doors.cc.
//
// A new room is one member here and one function in node_rooms.cc, which makes it, connects it and says what it does
// when the node starts, reloads and drains. A new door is the same in node_doors.cc.
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <vector>

#include "app/control_server.h"
#include "app/memory_guard.h"
#include "app/node.h"
#include "app/rpc_doors.h"
#include "app/store.h"
#include "command/rate_limit.h"
#include "command/table.h"
#include "conversation/conversation.h"
#include "device/device.h"
#include "document/document.h"
#include "gateway/gateway.h"
#include "http/rest.h"
#include "http/server.h"
#include "presence/presence.h"
#include "session/session.h"
#include "stream/retention.h"

namespace tidemark::app {

struct Node::Parts {
  Parts(Config given, NodeOptions node_options);

  // The rooms, in the order in which they need each other (node_rooms.cc).
  void make_rooms(Store opened, std::shared_ptr<const account::KeySet> keys);
  void make_engine();
  void make_account(std::shared_ptr<const account::KeySet> keys);
  void make_sessions();
  void make_devices();
  void make_conversations();
  void make_documents();
  void make_presence();
  void make_retention();

  // The doors; after the rooms (node_doors.cc).
  void make_doors();
  void make_gateway();
  void make_http();
  Status make_rpc();  // not in make_doors(): it reads files
  void make_guard();
  Status open_doors(const std::function<Status(const OperationRequest&, const OperationAnswer&)>& operate);
  void close_doors();
  bool serving() const;  // ready, but for the doors
  http::Readiness readiness() const;

  // Waits at most some seconds; in a stepped world by settling it.
  void wait_for(std::future<void> done) const;

  const Config config;
  const NodeOptions options;
  const Clock& clock;
  Random& random;
  MetricRegistry metrics;

  // What the parts do at certain times, in the order in which they were made.
  std::vector<std::function<void()>> at_start;                // the workers run
  std::vector<std::function<void(const Config&)>> at_reload;  // other limits, on the thread that calls reload()
  std::vector<std::function<Task<>()>> at_drain;              // what waits for its batch is stored, on a worker

  // In the order in which they are made; destroyed in the opposite order.
  std::optional<Store> store;
  std::unique_ptr<WorkerPool> workers;
  std::unique_ptr<stream::Fanout> fanout;
  std::unique_ptr<stream::Engine> engine;
  std::unique_ptr<command::RateLimiter> limiter;
  std::unique_ptr<command::Table> table;
  std::unique_ptr<account::Account> account;
  std::unique_ptr<session::Sessions> sessions;
  std::unique_ptr<device::Devices> devices;
  std::unique_ptr<conversation::Conversations> conversations;
  std::unique_ptr<document::Documents> documents;
  std::unique_ptr<presence::Presence> presence;
  std::unique_ptr<stream::Retention> retention;
  std::unique_ptr<gateway::Gateway> gateway;
  std::unique_ptr<http::Rest> rest;
  std::unique_ptr<http::Server> http;
  std::unique_ptr<http::Server> metrics_http;
  std::unique_ptr<http::Server> statesync_metrics_http;
  std::unique_ptr<RpcDoors> rpc;  // null: no port for gRPC
  std::unique_ptr<ControlServer> control;
  std::unique_ptr<MemoryGuard> memory_guard;
  bool started = false;
  std::atomic<bool> doors_open{false};  // all of them
};

}  // namespace tidemark::app
