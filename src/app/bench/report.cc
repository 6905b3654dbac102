#include "app/bench/report.h"

#include <fmt/format.h>

#include <array>
#include <iterator>
#include <utility>

#include "core/json.h"

namespace tidemark::app {
namespace {

using std::chrono::duration;

double seconds_of(std::chrono::nanoseconds time) { return duration<double>(time).count(); }
double microseconds_of(std::chrono::nanoseconds time) { return duration<double, std::micro>(time).count(); }
double milliseconds_of(std::chrono::nanoseconds time) { return duration<double, std::milli>(time).count(); }

double per_second(uint64_t count, const Report& report) {
  return report.elapsed.count() > 0 ? static_cast<double>(count) / seconds_of(report.elapsed) : 0;
}

// Microseconds of the server's processor for each of `count`.
double cpu_each(const Report& report, uint64_t count) {
  const auto used = report.server_after->cpu - report.server_before->cpu;
  return count > 0 ? microseconds_of(used) / static_cast<double>(count) : 0;
}

// What the server has grown by, for each connection.
double bytes_each(const Report& report) {
  const int64_t grown = report.server_after->resident_bytes - report.server_before->resident_bytes;
  return static_cast<double>(grown) / static_cast<double>(report.connections);
}

// What is resident after a burst, of what was resident before it.
double burst_percent(const Report& report) {
  return 100 * static_cast<double>(report.server_after_burst->resident_bytes) /
         static_cast<double>(report.server_after->resident_bytes);
}

double own_cpu_share(const Report& report) {
  return report.elapsed.count() > 0 ? seconds_of(report.own_cpu) / seconds_of(report.elapsed) : 0;
}

std::string latency_line(const char* name, const Histogram& histogram) {
  return fmt::format("  {:<10}{:>10.3f}{:>10.3f}{:>10.3f}{:>10.3f}{:>10.3f}\n", name,
                     milliseconds_of(histogram.percentile(50)), milliseconds_of(histogram.percentile(90)),
                     milliseconds_of(histogram.percentile(99)), milliseconds_of(histogram.percentile(99.9)),
                     milliseconds_of(histogram.max()));
}

std::string latency_json(const Histogram& histogram) {
  return fmt::format(R"({{"p50":{:.1f},"p90":{:.1f},"p99":{:.1f},"p99_9":{:.1f},"max":{:.1f}}})",
                     microseconds_of(histogram.percentile(50)), microseconds_of(histogram.percentile(90)),
                     microseconds_of(histogram.percentile(99)), microseconds_of(histogram.percentile(99.9)),
                     microseconds_of(histogram.max()));
}

// The latencies that were measured.
template <class Visit>
void each_latency(const Report& report, Visit visit) {
  const std::pair<const char*, const Histogram*> all[] = {{"ack", &report.ack_latency},
                                                          {"delivery", &report.delivery_latency},
                                                          {"synced", &report.synced_latency},
                                                          {"answer", &report.answer_latency}};
  for (const auto& [name, histogram] : all) {
    if (histogram->count() > 0) {
      visit(name, *histogram);
    }
  }
}

std::array<std::pair<const char*, uint64_t>, 4> counts_of(const Report& report) {
  return {{{"messages", report.messages},
           {"operations", report.operations},
           {"deliveries", report.deliveries},
           {"requests", report.requests}}};
}

void add_message_lines(const Report& report, std::string& out) {
  const auto end = std::back_inserter(out);
  for (const auto& [name, count] : counts_of(report)) {
    if (count > 0) {
      fmt::format_to(end, "{:<12}{:>10}{:>14.0f} /s\n", name, count, per_second(count, report));
    }
  }
  bool first = true;
  each_latency(report, [&](const char* name, const Histogram& histogram) {
    if (std::exchange(first, false)) {
      fmt::format_to(end, "{:<12}{:>10}{:>10}{:>10}{:>10}{:>10}\n", "latency, ms", "p50", "p90", "p99", "p99.9", "max");
    }
    out += latency_line(name, histogram);
  });
  if (report.conflicts > 0) {
    fmt::format_to(end, "{:<12}{:>10} settled\n", "conflicts", report.conflicts);
  }
  if (report.messages + report.operations + report.deliveries > 0 || report.server_after_burst) {
    fmt::format_to(end, "{:<12}{} lost, {} doubled, {} out of order, {} unanswered{}\n",
                   report.verified() ? "verified" : "WRONG", report.violations.lost, report.violations.doubled,
                   report.violations.out_of_order, report.unanswered,
                   report.operations > 0 ? fmt::format(", {} documents differ", report.different_documents) : "");
  }
}

double mebibytes(int64_t bytes) { return static_cast<double>(bytes) / 1048576; }

void add_server_lines(const Report& report, std::string& out) {
  const auto end = std::back_inserter(out);
  fmt::format_to(end, "{:<12}", "server CPU");
  if (const uint64_t sent = report.messages + report.operations; sent > 0) {
    if (report.deliveries > 0) {
      fmt::format_to(end, "{:.2f} us for each delivery, ", cpu_each(report, report.deliveries));
    }
    fmt::format_to(end, "{:.2f} us for each {}\n", cpu_each(report, sent),
                   report.operations > 0 ? "operation" : "message");
  } else if (report.requests > 0) {
    fmt::format_to(end, "{:.2f} us for each request\n", cpu_each(report, report.requests));
  } else {
    fmt::format_to(end, "{:.2f} us for each connection\n", cpu_each(report, report.connections));
  }
  fmt::format_to(end, "{:<12}{:.1f} MiB resident, {:.1f} MiB before\n", "server RSS",
                 mebibytes(report.server_after->resident_bytes), mebibytes(report.server_before->resident_bytes));
  if (report.messages + report.operations + report.requests == 0 && report.connections > 0) {
    fmt::format_to(end, "{:<12}{:.0f} bytes for each connection\n", "", bytes_each(report));
  }
  if (report.server_after_burst) {
    fmt::format_to(end, "{:<12}{:.1f} MiB resident after the burst: {:.1f} %\n", "",
                   mebibytes(report.server_after_burst->resident_bytes), burst_percent(report));
  }
}

// "delivery" for "deliveries".
std::string singular(std::string_view plural) {
  return plural.ends_with("ies") ? std::string(plural.substr(0, plural.size() - 3)) + "y"
                                 : std::string(plural.substr(0, plural.size() - 1));
}

}  // namespace

std::string to_table(const Report& report) {
  std::string out = report.title + ": " + report.description + '\n';
  const auto end = std::back_inserter(out);
  fmt::format_to(end, "{:<12}{:>10.3f} s\n", "time", seconds_of(report.elapsed));
  if (report.connects_per_second) {
    fmt::format_to(end, "{:<12}{:>10}{:>14.0f} /s\n", "connections", report.connections, *report.connects_per_second);
  }
  if (report.refusals > 0) {
    fmt::format_to(end, "{:<12}{:>10} connections were told to come back later\n", "refused", report.refusals);
  }
  add_message_lines(report, out);
  if (report.server_before && report.server_after) {
    add_server_lines(report, out);
  }
  fmt::format_to(end, "{:<12}{:.0f} % of one processor\n", "own CPU", 100 * own_cpu_share(report));
  return out;
}

std::string to_json_text(const Report& report) {
  std::string out;
  JsonWriter json(out);
  json.begin()
      .field("scenario", report.title)
      .field("parameters", report.description)
      .raw("elapsed_s", fmt::format("{:.6f}", seconds_of(report.elapsed)))
      .field("connections", static_cast<int64_t>(report.connections));
  if (report.connects_per_second) {
    json.raw("connects_per_s", fmt::format("{:.1f}", *report.connects_per_second));
  }
  if (report.refusals > 0) {
    json.field("refusals", static_cast<int64_t>(report.refusals));
  }
  const auto counts = counts_of(report);
  for (const auto& [name, count] : counts) {
    if (count > 0) {
      json.field(name, static_cast<int64_t>(count))
          .raw(std::string(name) + "_per_s", fmt::format("{:.1f}", per_second(count, report)));
    }
  }
  each_latency(report, [&json](const char* name, const Histogram& histogram) {
    json.raw(std::string(name) + "_us", latency_json(histogram));
  });
  json.field("lost", static_cast<int64_t>(report.violations.lost))
      .field("doubled", static_cast<int64_t>(report.violations.doubled))
      .field("out_of_order", static_cast<int64_t>(report.violations.out_of_order))
      .field("unanswered", static_cast<int64_t>(report.unanswered));
  if (report.operations > 0) {
    json.field("conflicts", report.conflicts).field("different_documents", report.different_documents);
  }
  if (report.server_before && report.server_after) {
    json.field("server_cpu_us", (report.server_after->cpu - report.server_before->cpu).count())
        .field("server_rss_before_bytes", report.server_before->resident_bytes)
        .field("server_rss_after_bytes", report.server_after->resident_bytes);
    for (const auto& [name, count] : counts) {
      if (count > 0) {
        json.raw("server_cpu_us_per_" + singular(name), fmt::format("{:.3f}", cpu_each(report, count)));
      }
    }
    if (report.messages + report.operations + report.requests == 0 && report.connections > 0) {
      json.raw("server_cpu_us_per_connection", fmt::format("{:.3f}", cpu_each(report, report.connections)))
          .raw("server_bytes_per_connection", fmt::format("{:.1f}", bytes_each(report)));
    }
  }
  if (report.server_after_burst) {
    json.field("server_rss_after_burst_bytes", report.server_after_burst->resident_bytes)
        .raw("server_rss_after_burst_percent", fmt::format("{:.1f}", burst_percent(report)));
  }
  json.raw("own_cpu_share", fmt::format("{:.3f}", own_cpu_share(report))).field("verified", report.verified()).end();
  return out + '\n';
}

}  // namespace tidemark::app
