#include "app/top_sample.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "core/json.h"

namespace tidemark::app {
namespace {

constexpr size_t kDepth = 4;
constexpr std::string_view kBucket = "_bucket";

double number(std::string_view text) {
  double value = 0;
  if (text == "+Inf") {
    return HUGE_VAL;
  }
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// One line of the Prometheus text format: name{labels} value.
void take_metric(std::string_view line, TopSample& sample) {
  const size_t space = line.rfind(' ');
  if (line.empty() || line[0] == '#' || space == std::string_view::npos) {
    return;
  }
  const size_t brace = line.find('{');
  std::string_view name = line.substr(0, std::min(brace, space));
  const double value = number(line.substr(space + 1));
  const size_t le = line.find("le=\"");
  if (name.ends_with(kBucket) && le != std::string_view::npos) {
    const std::string_view bound = line.substr(le + 4, line.find('"', le + 4) - le - 4);
    name.remove_suffix(kBucket.size());
    sample.histograms[std::string(name)][number(bound)] += value;
    return;
  }
  sample.values[std::string(name)] += value;
}

template <class T>
void get(simdjson::dom::object object, const char* name, T& value) {
  T got{};
  if (object[name].get(got) == simdjson::SUCCESS) {
    value = got;
  }
}

void get(simdjson::dom::object object, const char* name, std::string& value) {
  std::string_view text;
  get(object, name, text);
  value = std::string(text);
}

double value_of(const TopSample& sample, std::string_view name) {
  const auto found = sample.values.find(name);
  return found == sample.values.end() ? 0 : found->second;
}

double quantile_of(const TopSample& before, const TopSample& now, std::string_view name, double q) {
  const auto then = before.histograms.find(name);
  const auto found = now.histograms.find(name);
  static const std::map<double, double> kNone;
  return found == now.histograms.end() ? 0
                                       : quantile(then == before.histograms.end() ? kNone : then->second, found->second, q);
}

std::string format(const char* pattern, auto... values) {
  char text[256];
  std::snprintf(text, sizeof text, pattern, values...);
  return text;
}

std::string bytes_text(double bytes) {
  const char* const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < std::size(units); ++unit) {
    bytes /= 1024;
  }
  return format(unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}

// At most `width` characters of UTF-8.
std::string cut(const std::string& text, size_t width) {
  size_t characters = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80 && ++characters > width) {
      return text.substr(0, i);
    }
  }
  return text;
}

}  // namespace

Result<TopSample> parse_top_sample(std::string_view json) {
  simdjson::dom::parser parser;
  const auto parsed = parse_json(parser, json, kDepth);
  simdjson::dom::object object;
  if (!parsed.ok() || parsed->get(object) != simdjson::SUCCESS) {
    return fail(Code::invalid_json, "the node's answer is not understood: node and subcommand are of different versions");
  }
  TopSample sample;
  get(object, "node", sample.node);
  get(object, "time_ms", sample.time_ms);
  get(object, "ready", sample.ready);
  get(object, "draining", sample.draining);
  get(object, "users", sample.users);
  get(object, "connections", sample.connections);
  get(object, "queued", sample.queued);
  get(object, "behind", sample.behind);
  get(object, "queue_bytes", sample.queue_bytes);
  simdjson::dom::array slowest;
  if (object["slowest"].get(slowest) == simdjson::SUCCESS) {
    for (const simdjson::dom::element element : slowest) {
      simdjson::dom::object one;
      if (element.get(one) == simdjson::SUCCESS) {
        TopConnection& connection = sample.slowest.emplace_back();
        get(one, "tenant_id", connection.tenant);
        get(one, "user_id", connection.user);
        get(one, "device_id", connection.device);
        get(one, "behind", connection.behind);
        get(one, "queue_bytes", connection.queue_bytes);
      }
    }
  }
  std::string_view metrics;
  get(object, "metrics", metrics);
  while (!metrics.empty()) {
    const size_t end = std::min(metrics.find('\n'), metrics.size());
    take_metric(metrics.substr(0, end), sample);
    metrics.remove_prefix(std::min(end + 1, metrics.size()));
  }
  return sample;
}

double quantile(const std::map<double, double>& before, const std::map<double, double>& now, double q) {
  const auto count = [&](const std::map<double, double>::const_iterator& bucket) {
    const auto then = before.find(bucket->first);
    return bucket->second - (then == before.end() ? 0 : then->second);
  };
  if (now.empty()) {
    return 0;
  }
  const double wanted = q * count(std::prev(now.end()));
  double bound = 0;
  double below = 0;
  for (auto bucket = now.begin(); bucket != now.end() && wanted > 0; ++bucket) {
    const double upto = count(bucket);
    if (upto >= wanted) {
      const double width = std::isinf(bucket->first) ? 0 : bucket->first - bound;
      return bound + (upto > below ? width * (wanted - below) / (upto - below) : 0);
    }
    below = upto;
    bound = bucket->first;
  }
  return 0;
}

TopFigures compare(const TopSample& before, const TopSample& now) {
  TopFigures figures;
  figures.seconds = static_cast<double>(now.time_ms - before.time_ms) / 1000;
  const auto difference = [&](std::string_view name) { return value_of(now, name) - value_of(before, name); };
  const auto rate = [&](std::string_view name) {
    return figures.seconds > 0 ? std::max(difference(name), 0.0) / figures.seconds : 0;
  };
  figures.messages_per_second = rate("websocket_messages_received_total");
  figures.commits_per_second = rate("tidemark_commit_seconds_count");
  figures.appends_per_second = rate("tidemark_append_seconds_count");
  figures.deliveries_per_second = rate("tidemark_deliveries_total");
  figures.replayed_per_second = rate("tidemark_replayed_entries_total");
  const double commits = difference("tidemark_commit_batch_size_count");
  figures.batch = commits > 0 ? difference("tidemark_commit_batch_size_sum") / commits : 0;
  figures.commit_p50_ms = 1000 * quantile_of(before, now, "tidemark_commit_seconds", 0.5);
  figures.commit_p99_ms = 1000 * quantile_of(before, now, "tidemark_commit_seconds", 0.99);
  figures.append_p50_ms = 1000 * quantile_of(before, now, "tidemark_append_seconds", 0.5);
  figures.append_p99_ms = 1000 * quantile_of(before, now, "tidemark_append_seconds", 0.99);
  figures.cpu_percent = 100 * rate("process_cpu_seconds_total");
  figures.resident_bytes = value_of(now, "process_resident_memory_bytes");
  return figures;
}

std::vector<std::string> top_lines(const TopSample& now, const TopFigures& f, size_t width, size_t height) {
  const std::string_view state = now.draining ? "draining" : now.ready ? "ready" : "NOT READY";
  std::vector<std::string> lines;
  lines.push_back("tidemark " + now.node + "  " + std::string(state) +
                  format("  cpu %.0f %%  memory ", f.cpu_percent) + bytes_text(f.resident_bytes));
  lines.push_back(format("connections %lld  users %lld", static_cast<long long>(now.connections),
                         static_cast<long long>(now.users)));
  lines.push_back(format("in %.0f frames/s  stored %.0f messages/s  out %.0f entries/s  replayed %.0f/s",
                         f.messages_per_second, f.appends_per_second, f.deliveries_per_second, f.replayed_per_second));
  lines.push_back(format("commits %.0f/s of %.1f changes  p50 %.2f ms  p99 %.2f ms", f.commits_per_second, f.batch,
                         f.commit_p50_ms, f.commit_p99_ms));
  lines.push_back(format("message to commit  p50 %.2f ms  p99 %.2f ms", f.append_p50_ms, f.append_p99_ms));
  lines.push_back(format("queues: %lld connections with ", static_cast<long long>(now.queued)) +
                  bytes_text(static_cast<double>(now.queue_bytes)) +
                  format(", %lld read the log", static_cast<long long>(now.behind)));
  if (!now.slowest.empty()) {
    lines.push_back("");
    lines.push_back("    BEHIND       QUEUE  USER / DEVICE (TENANT)");
  }
  for (const TopConnection& one : now.slowest) {
    lines.push_back(format("%10lld  %10s  ", static_cast<long long>(one.behind),
                           bytes_text(static_cast<double>(one.queue_bytes)).c_str()) +
                    one.user + " / " + one.device + " (" + one.tenant + ")");
  }
  lines.resize(std::min(lines.size(), height));
  for (std::string& line : lines) {
    line = cut(line, width);
  }
  return lines;
}

std::string top_json(const TopSample& now, const TopFigures& f) {
  const auto real = [](double value) { return format("%.3f", value); };
  std::string slowest = "[";
  for (const TopConnection& one : now.slowest) {
    slowest += slowest.size() > 1 ? "," : "";
    JsonWriter(slowest)
        .begin()
        .field("tenant_id", one.tenant)
        .field("user_id", one.user)
        .field("device_id", one.device)
        .field("behind", one.behind)
        .field("queue_bytes", one.queue_bytes)
        .end();
  }
  std::string json;
  JsonWriter(json)
      .begin()
      .field("node", now.node)
      .field("time_ms", now.time_ms)
      .field("ready", now.ready)
      .field("draining", now.draining)
      .field("connections", now.connections)
      .field("users", now.users)
      .raw("frames_in_per_second", real(f.messages_per_second))
      .raw("messages_per_second", real(f.appends_per_second))
      .raw("deliveries_per_second", real(f.deliveries_per_second))
      .raw("replayed_per_second", real(f.replayed_per_second))
      .raw("commits_per_second", real(f.commits_per_second))
      .raw("commit_batch", real(f.batch))
      .raw("commit_p50_ms", real(f.commit_p50_ms))
      .raw("commit_p99_ms", real(f.commit_p99_ms))
      .raw("append_p50_ms", real(f.append_p50_ms))
      .raw("append_p99_ms", real(f.append_p99_ms))
      .raw("cpu_percent", real(f.cpu_percent))
      .raw("resident_bytes", format("%.0f", f.resident_bytes))
      .field("queued_connections", now.queued)
      .field("queue_bytes", now.queue_bytes)
      .field("behind_connections", now.behind)
      .raw("slowest", slowest + "]")
      .end();
  return json;
}

}  // namespace tidemark::app
