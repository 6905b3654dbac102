// What an operator can ask of a store or a node: one function per command, the same for a running node (over the control
// socket) and for a subcommand that holds the data directory itself.
//
// Run on a thread that is no worker; they wait. What takes long works in small steps, so that traffic does not notice.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "core/ids.h"
#include "core/result.h"

namespace tidemark::app {

struct Config;
struct Store;

// What operations work with. Lives as long as the node.
struct Operated {
  const Config& config;
  const Store& store;
  bool closed = false;  // no running node: opened for this operation only
};

struct OperationRequest {
  std::string command;  // migrate, backup
  std::string file;     // backup: absolute path
  bool force = false;   // backup: replaces the file
};

std::string to_json(const OperationRequest& request);
// invalid_json, missing_field and invalid_field as for every other request.
Result<OperationRequest> parse_operation(std::string_view line);

struct OperationAnswer {
  std::function<bool(std::string_view line)> print;  // one line of output; false: nobody reads it any more
  std::function<bool()> cancelled;                   // nobody waits for the end any more, or the node stops
};

// The error says what to do.
Status run_operation(const Operated& node, const OperationRequest& request, const OperationAnswer& answer);

}  // namespace tidemark::app
