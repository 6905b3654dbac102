#include "app/bench/report.h"

#include <fmt/format.h>

#include <iterator>

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

void add_message_lines(const Report& report, std::string& out) {
  const auto end = std::back_inserter(out);
  fmt::format_to(end, "{:<12}{:>10}{:>14.0f} /s\n", "messages", report.messages, per_second(report.messages, report));
  fmt::format_to(end, "{:<12}{:>10}{:>14.0f} /s\n", "deliveries", report.deliveries,
                 per_second(report.deliveries, report));
  fmt::format_to(end, "{:<12}{:>10}{:>10}{:>10}{:>10}{:>10}\n", "latency, ms", "p50", "p90", "p99", "p99.9", "max");
  out += latency_line("ack", report.ack_latency);
  out += latency_line("delivery", report.delivery_latency);
  fmt::format_to(end, "{:<12}{} lost, {} doubled, {} out of order, {} unanswered\n",
                 report.verified() ? "verified" : "WRONG", report.violations.lost, report.violations.doubled,
                 report.violations.out_of_order, report.unanswered);
}

void add_server_lines(const Report& report, std::string& out) {
  const auto end = std::back_inserter(out);
  fmt::format_to(end, "{:<12}", "server CPU");
  if (report.messages > 0) {
    fmt::format_to(end, "{:.2f} us for each delivery, {:.2f} us for each message\n",
                   cpu_each(report, report.deliveries), cpu_each(report, report.messages));
  } else {
    fmt::format_to(end, "{:.2f} us for each connection\n", cpu_each(report, report.connections));
  }
  fmt::format_to(end, "{:<12}{:.1f} MiB resident, {:.1f} MiB before\n", "server RSS",
                 static_cast<double>(report.server_after->resident_bytes) / 1048576,
                 static_cast<double>(report.server_before->resident_bytes) / 1048576);
  if (report.messages == 0 && report.connections > 0) {
    fmt::format_to(end, "{:<12}{:.0f} bytes for each connection\n", "", bytes_each(report));
  }
}

}  // namespace

std::string to_table(const Report& report) {
  std::string out = report.title + ": " + report.description + '\n';
  const auto end = std::back_inserter(out);
  fmt::format_to(end, "{:<12}{:>10.3f} s\n", "time", seconds_of(report.elapsed));
  if (report.connects_per_second) {
    fmt::format_to(end, "{:<12}{:>10}{:>14.0f} /s\n", "connections", report.connections, *report.connects_per_second);
  }
  if (report.messages > 0) {
    add_message_lines(report, out);
  }
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
  if (report.messages > 0) {
    json.field("messages", static_cast<int64_t>(report.messages))
        .field("deliveries", static_cast<int64_t>(report.deliveries))
        .raw("messages_per_s", fmt::format("{:.1f}", per_second(report.messages, report)))
        .raw("deliveries_per_s", fmt::format("{:.1f}", per_second(report.deliveries, report)))
        .raw("ack_us", latency_json(report.ack_latency))
        .raw("delivery_us", latency_json(report.delivery_latency))
        .field("lost", static_cast<int64_t>(report.violations.lost))
        .field("doubled", static_cast<int64_t>(report.violations.doubled))
        .field("out_of_order", static_cast<int64_t>(report.violations.out_of_order))
        .field("unanswered", static_cast<int64_t>(report.unanswered));
  }
  if (report.server_before && report.server_after) {
    json.field("server_cpu_us", (report.server_after->cpu - report.server_before->cpu).count())
        .field("server_rss_before_bytes", report.server_before->resident_bytes)
        .field("server_rss_after_bytes", report.server_after->resident_bytes);
    if (report.messages > 0) {
      json.raw("server_cpu_us_per_delivery", fmt::format("{:.3f}", cpu_each(report, report.deliveries)))
          .raw("server_cpu_us_per_message", fmt::format("{:.3f}", cpu_each(report, report.messages)));
    } else if (report.connections > 0) {
      json.raw("server_cpu_us_per_connection", fmt::format("{:.3f}", cpu_each(report, report.connections)))
          .raw("server_bytes_per_connection", fmt::format("{:.1f}", bytes_each(report)));
    }
  }
  json.raw("own_cpu_share", fmt::format("{:.3f}", own_cpu_share(report))).field("verified", report.verified()).end();
  return out + '\n';
}

}  // namespace tidemark::app
