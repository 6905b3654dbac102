// What an operator can ask of a store or a node: one function per command, the same for a running node (over the control
// socket) and for a subcommand that holds the data directory itself.
//
// Run on a thread that is no worker; they wait. What takes long works in small steps, so that traffic does not notice.
#pragma once

#include <functional>
#include <future>
#include <string>
#include <string_view>

#include "conversation/conversation.h"
#include "device/device.h"
#include "document/document.h"
#include "gateway/gateway.h"
#include "session/session.h"

namespace tidemark::app {

struct Config;
struct Store;

// What operations work with. Lives as long as the node; its workers run.
struct Operated {
  const Config& config;
  const Store& store;
  WorkerPool& workers;
  account::Account& account;
  session::Sessions& sessions;
  device::Devices& devices;
  conversation::Conversations& conversations;
  document::Documents& documents;
  gateway::Gateway& gateway;
  const MetricRegistry& metrics;
  const Clock& clock;
  Random& random;
  bool closed = false;  // no running node: opened for this operation only
};

struct OperationRequest {
  std::string command;  // migrate, backup, export-user, erase-user, stats
  std::string file;     // backup: absolute path
  bool force = false;   // backup: replaces the file
  UserKey user;         // export-user, erase-user
  bool revoke = false;  // erase-user: refuses the user's tokens as well
};

std::string to_json(const OperationRequest& request);
// invalid_json, missing_field and invalid_field as for every other request.
Result<OperationRequest> parse_operation(std::string_view line);

struct OperationAnswer {
  std::function<bool(std::string_view line)> print;  // one line of output; false: nobody reads it any more
  std::function<bool()> cancelled;                   // nobody waits for the end any more, or the node stops
};

// `tidemark export-user` and `erase-user` (operation_export.cc, operation_erase.cc).
Status export_user(const Operated& node, const OperationRequest& request, const OperationAnswer& answer);
Status erase_user(const Operated& node, const OperationRequest& request, const OperationAnswer& answer);

// For `tidemark top`: one line of JSON (operation_stats.cc).
Status print_stats(const Operated& node, const OperationAnswer& answer);

// What the coroutine returns that `make` starts on `worker`. For threads that are no workers.
template <class T, class F>
T wait_on(Worker& worker, F make) {
  // Shared: set_value() may still be at its end when the waiter goes on.
  const auto answer = std::make_shared<std::promise<T>>();
  const auto whole = [&make](std::shared_ptr<std::promise<T>> end) -> Task<> {
    T result = co_await make();
    end->set_value(std::move(result));
  };
  worker.post([&whole, answer] { spawn(whole(answer)); });
  return answer->get_future().get();
}

// The error says what to do.
Status run_operation(const Operated& node, const OperationRequest& request, const OperationAnswer& answer);

}  // namespace tidemark::app
