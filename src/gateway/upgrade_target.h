// The request target of an upgrade: which path, and what the query wishes (docs/protocol.md, "Connecting"). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace tidemark::gateway {

struct UpgradeTarget {
  std::string path;
  std::string token;
  std::string device;   // empty: none named
  std::string session;  // empty: none named
  std::vector<std::string> conversations;
  bool replay = true;
  std::optional<bool> ack_auto;
  bool events = false;  // dialect=events
};

// invalid_field names the parameter. Unknown parameters are ignored.
Result<UpgradeTarget> parse_upgrade_target(std::string_view target);

}  // namespace tidemark::gateway
