// What a measurement found, for people and for machines.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "app/bench/histogram.h"
#include "app/bench/process_stats.h"
#include "app/bench/sequence_check.h"

namespace tidemark::app {

// A part without a value was not measured and is not shown.
struct Report {
  std::string title;        // the scenario
  std::string description;  // its parameters
  std::chrono::nanoseconds elapsed{};

  uint64_t messages = 0;    // that were sent
  uint64_t operations = 0;  // on documents, the same
  uint64_t deliveries = 0;  // of both that arrived, each counted once for each receiver
  uint64_t unanswered = 0;  // of both, without an answer
  Histogram ack_latency;       // from when a message or operation was due to be sent until its answer
  Histogram delivery_latency;  // the same until it arrived
  Histogram synced_latency;    // from when all devices returned until one had everything
  Histogram answer_latency;    // from a request to its answer
  uint64_t requests = 0;
  Violations violations;
  uint64_t conflicts = 0;           // that the server settled
  uint64_t different_documents = 0;  // that the server has otherwise than its subscribers

  uint64_t connections = 0;
  std::optional<double> connects_per_second;
  uint64_t refusals = 0;  // connections that were told to come back later

  // Of the server: at the start and at the end of what was measured.
  std::optional<ProcessStats> server_before;
  std::optional<ProcessStats> server_after;
  std::optional<ProcessStats> server_after_burst;
  std::chrono::microseconds own_cpu{};

  // Whether every message was answered and delivered once and in order, and every document is one.
  bool verified() const { return violations == Violations{} && unanswered == 0 && different_documents == 0; }
};

// Aligned lines.
std::string to_table(const Report& report);
// One JSON object with a line end. Durations carry their unit in the name.
std::string to_json_text(const Report& report);

}  // namespace tidemark::app
