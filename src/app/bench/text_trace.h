// Recorded editing sessions, in the form of the collection "editing-traces" by Joseph Gentle and others: gzipped JSON
// {startContent?, endContent, txns: [{agent?, parents?, patches: [[position, removed, inserted]]}]}.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/result.h"

namespace tidemark::app {

// One transaction as an operation on a text document at version 1, whose operations are those before it.
struct TraceOperation {
  std::string session;
  uint64_t prev_version = 0;  // its author saw this, and the own operations since
  std::string data;           // {"ops":[…]}
};

struct TextTrace {
  std::string start;
  std::string end;
  std::vector<TraceOperation> operations;
};

// unavailable: no such file; invalid_field: not a trace, or a transaction whose author saw something that is not a
// version and the own operations since.
Result<TextTrace> read_text_trace(const std::string& path);

}  // namespace tidemark::app
