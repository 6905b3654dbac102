// Connections that do nothing: what one costs the server, and how many it takes a second.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <tuple>
#include <vector>

#include "app/bench/scenario.h"

namespace tidemark::app {
namespace {

// One thread's connections.
class IdleThread final : public LoadHandler {
 public:
  explicit IdleThread(const Target& target) : client_(target, *this) {}

  Status open(const Accounts& accounts, Share share, bool several_addresses) {
    const auto login_of = [&](size_t connection) {
      const size_t number = share.first + connection;
      return LoadClient::Login{accounts.token(accounts.user("i", number)), "bench", number};
    };
    return client_.open(share.count, login_of, several_addresses);
  }

  // Stays until `end`, answering pings.
  Status hold(Instant end) {
    end_ = end;
    client_.wake_at(end);
    return client_.run();
  }

  Status close() {
    client_.close();
    return {};
  }
  Instant last_welcome() const { return client_.last_welcome(); }

  void on_text(size_t, std::string_view, Instant) override {}
  void on_turn() override {
    if (SystemClock().now() >= end_) {
      client_.stop();
    }
  }

 private:
  LoadClient client_;
  Instant end_ = Instant::max();
};

Status create_groups(const BenchOptions& options, const Target& target, const Accounts& accounts) {
  for (size_t first = 0; options.group_size > 0 && first < options.connections; first += options.group_size) {
    std::vector<std::string> members;
    for (size_t i = first + 1; i < std::min(first + options.group_size, options.connections); ++i) {
      members.push_back(accounts.user("i", i));
    }
    const Result<Group> group = create_group(target, accounts, accounts.user("i", first), members);
    if (!group) {
      return group.error();
    }
  }
  return {};
}

}  // namespace

Result<Report> run_idle(const BenchOptions& options, const Target& target, const Accounts& accounts) {
  const bool several_addresses = needs_several_addresses(target, options.connections);
  if (Status reserved = reserve_sockets(options.connections); !reserved) {
    return reserved.error();
  }
  if (Status created = create_groups(options, target, accounts); !created) {
    return created.error();
  }
  std::vector<std::unique_ptr<IdleThread>> threads;
  for (size_t i = 0; i < options.threads; ++i) {
    threads.push_back(std::make_unique<IdleThread>(target));
  }

  Report report;
  Measurement measurement(options, report);
  const Instant start = SystemClock().now();
  const Status opened = on_threads(options.threads, [&](size_t i) {
    return threads[i]->open(accounts, share_of(options.connections, options.threads, i), several_addresses);
  });
  if (!opened) {
    return opened.error();
  }
  const Instant end = SystemClock().now() + to_nanoseconds(options.hold);
  if (Status held = on_threads(options.threads, [&](size_t i) { return threads[i]->hold(end); }); !held) {
    return held.error();
  }
  if (Status measured = measurement.finish(); !measured) {
    return measured.error();
  }
  std::ignore = on_threads(options.threads, [&](size_t i) { return threads[i]->close(); });

  for (const auto& thread : threads) {
    report.elapsed = std::max(report.elapsed, thread->last_welcome() - start);
  }
  report.title = "idle";
  report.description = options.group_size > 0
                           ? fmt::format("{} connections, one conversation of {} users for each", options.connections,
                                         std::min(options.group_size, options.connections))
                           : fmt::format("{} connections, no conversation", options.connections);
  report.connections = options.connections;
  report.connects_per_second =
      static_cast<double>(options.connections) / std::chrono::duration<double>(report.elapsed).count();
  return report;
}

}  // namespace tidemark::app
