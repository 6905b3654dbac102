// What every implementation of the Bus counts.
#pragma once

#include "core/metrics.h"

namespace tidemark::bus {

struct BusMetrics {
  explicit BusMetrics(MetricRegistry& metrics)
      : published(metrics.counter("tidemark_bus_published_total", "Messages handed to the bus.")),
        received(metrics.counter("tidemark_bus_received_total", "Messages of other nodes.")),
        dropped_away(dropped(metrics, "away")),
        dropped_full(dropped(metrics, "full")),
        dropped_large(dropped(metrics, "large")),
        ignored_version(ignored(metrics, "version")),
        ignored_malformed(ignored(metrics, "malformed")),
        gaps(metrics.counter("tidemark_bus_gaps_total",
                             "Times that a worker's subscriptions were away: messages may be missing.")) {}

  Counter& published;
  Counter& received;
  Counter& dropped_away;   // not published: the bus is away
  Counter& dropped_full;   // not published: too much waits
  Counter& dropped_large;  // not published: larger than kPayloadBytesMax
  Counter& ignored_version;
  Counter& ignored_malformed;
  Counter& gaps;

 private:
  static Counter& dropped(MetricRegistry& metrics, const char* reason) {
    return metrics.counter("tidemark_bus_dropped_total", "Messages that were not published.", {{"reason", reason}});
  }
  static Counter& ignored(MetricRegistry& metrics, const char* reason) {
    return metrics.counter("tidemark_bus_ignored_total", "Messages that could not be read.", {{"reason", reason}});
  }
};

}  // namespace tidemark::bus
