#include "app/bench/scenario.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/resource.h>

#include <thread>
#include <vector>

namespace tidemark::app {
namespace {

constexpr size_t kDescriptorsBeside = 64;  // standard streams, epoll, the server's /proc
constexpr size_t kConnectionsOfOneAddress = 20'000;

}  // namespace

Status on_threads(size_t threads, const std::function<Status(size_t thread)>& work) {
  if (threads == 1) {
    return work(0);
  }
  std::vector<Status> results(threads);
  std::vector<std::thread> running;
  for (size_t i = 0; i < threads; ++i) {
    running.emplace_back([&results, &work, i] { results[i] = work(i); });
  }
  for (std::thread& thread : running) {
    thread.join();
  }
  for (const Status& result : results) {
    if (!result) {
      return result;
    }
  }
  return {};
}

Share share_of(size_t total, size_t threads, size_t thread) {
  const size_t first = total * thread / threads;
  return {first, total * (thread + 1) / threads - first};
}

Status reserve_sockets(size_t connections) {
  const rlim_t wanted = connections + kDescriptorsBeside;
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= wanted) {
    return {};
  }
  if (limit.rlim_max < wanted) {
    return fail(Code::unavailable, std::to_string(connections) + " connections need " + std::to_string(wanted) +
                                       " file descriptors, " + std::to_string(limit.rlim_max) +
                                       " are allowed: raise the limit (ulimit -n)");
  }
  limit.rlim_cur = wanted;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return fail(Code::unavailable, "cannot raise the number of file descriptors to " + std::to_string(wanted));
  }
  return {};
}

bool needs_several_addresses(const Target& target, size_t connections) {
  if (connections <= kConnectionsOfOneAddress || target.address.ss_family != AF_INET) {
    return false;
  }
  const auto& address = reinterpret_cast<const sockaddr_in&>(target.address);
  return ntohl(address.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

std::chrono::nanoseconds to_nanoseconds(double seconds) {
  return std::chrono::nanoseconds(static_cast<int64_t>(seconds * 1e9));
}

std::string pace_text(const BenchOptions& options) {
  return options.rate > 0 ? fmt::format("{:g} messages a second", options.rate)
                          : fmt::format("{} in flight", options.window);
}

Measurement::Measurement(const BenchOptions& options, Report& report)
    : pid_(options.pid), report_(report), own_cpu_before_(own_cpu()), looked_(look(report.server_before)) {}

Status Measurement::finish() {
  report_.own_cpu = own_cpu() - own_cpu_before_;
  return looked_ ? look(report_.server_after) : looked_;
}

Status Measurement::look(std::optional<ProcessStats>& stats) const {
  if (pid_ == 0) {
    return {};
  }
  const Result<ProcessStats> now = read_process_stats(pid_);
  if (!now) {
    return now.error();
  }
  stats = *now;
  return {};
}

Instant Schedule::planned(uint64_t number) const {
  return start_ + to_nanoseconds(static_cast<double>(number) / limits_.rate);
}

bool Schedule::over(Instant now, uint64_t sent) const {
  if (limits_.messages > 0) {
    return sent >= limits_.messages;
  }
  return limits_.rate > 0 ? planned(sent) >= start_ + limits_.length : now >= start_ + limits_.length;
}

std::optional<Instant> Schedule::due(Instant now, uint64_t sent, uint64_t in_flight) const {
  if (over(now, sent)) {
    return std::nullopt;
  }
  if (limits_.rate > 0) {
    const Instant when = planned(sent);
    return when <= now ? std::optional(when) : std::nullopt;
  }
  return in_flight < limits_.window ? std::optional(now) : std::nullopt;
}

std::optional<Instant> Schedule::next(uint64_t sent) const {
  return limits_.rate > 0 ? std::optional(planned(sent)) : std::nullopt;
}

}  // namespace tidemark::app
