// What all connections of one Server share. A private file of the HTTP door.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/metrics.h"
#include "core/shared_value.h"
#include "core/tls_context.h"
#include "core/worker.h"
#include "http/pages.h"
#include "http/server.h"

namespace tidemark::http {

class Connection;

// Owner: the Server and its connections together; it lives as long as the last of them.
struct Context {
  Context(WorkerPool& pool, MetricRegistry& metrics, const command::Table* table, const Rest* rest_door,
          ServerOptions server_options, ServerHooks server_hooks);

  // Takes `bytes` from the memory that bodies may use; false if it is all in use.
  bool reserve_body(size_t bytes);
  void release_body(size_t bytes) { body_bytes.fetch_sub(bytes, std::memory_order_relaxed); }
  void count_answer(int status) { answers[static_cast<size_t>(status / 100 - 1)]->add(); }

  const ServerOptions options;
  const ServerHooks hooks;
  const Rest* const rest;  // null with metrics_only
  const Pages pages;
  WorkerPool& workers;
  std::array<Counter*, 5> answers;  // by the first digit of the status
  std::vector<std::unordered_set<Connection*>> open;  // by worker, each owned by its worker
  std::vector<std::unordered_map<std::string, size_t>> addresses;  // connections by address_group(), by worker
  std::atomic<size_t> connections_per_ip{0};                       // of one address on one worker; 0: any number
  SharedValue<TlsContext> tls;  // null: in the clear
  std::atomic<bool> draining{false};
  std::atomic<size_t> connections{0};
  std::atomic<size_t> body_bytes{0};
};

}  // namespace tidemark::http
