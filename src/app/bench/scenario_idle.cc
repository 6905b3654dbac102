// Connections that do nothing: what one costs the server, how many it takes a second, and what is left of a burst.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <tuple>
#include <vector>

#include "app/bench/rest_client.h"
#include "app/bench/scenario.h"

namespace tidemark::app {
namespace {

// Users 0 to size - 1 in one conversation, the next ones in another one; all of that `groups` times over.
struct Groups {
  size_t size = 0;
  std::vector<Group> first;  // of the first time, in the order of their users
};

// One thread's connections.
class IdleThread final : public LoadHandler {
 public:
  IdleThread(const BenchOptions& options, const Target& target, const Groups& groups, size_t thread)
      : options_(options),
        groups_(groups),
        client_(target, *this),
        share_(share_of(options.connections, options.threads, thread)) {}

  Status open(const Accounts& accounts, bool several_addresses) {
    const auto login_of = [&](size_t connection) {
      const size_t number = share_.first + connection;
      return LoadClient::Login{accounts.token(accounts.user("i", number)), "bench", number};
    };
    return client_.open(share_.count, login_of, {.several_addresses = several_addresses});
  }

  // Stays until `end`, answering pings.
  Status hold(Instant end) {
    end_ = end;
    client_.wake_at(end);
    return client_.run();
  }

  // The first user of each conversation says `burst` messages into it; until all others have them.
  Status burst() {
    end_ = Instant::max();
    checks_.resize(share_.count);
    for (size_t i = 0; i < share_.count; ++i) {
      const size_t number = share_.first + i;
      if (number % groups_.size != 0) {
        expected_ += options_.burst;
        continue;
      }
      MessageSource source("conversation_id", groups_.first[number / groups_.size].conversation_id, options_.payload,
                           random_);
      for (size_t message = 0; message < options_.burst; ++message) {
        client_.send(i, source.next(SystemClock().now()));
      }
    }
    in_burst_ = true;
    watchdog_.emplace(SystemClock().now());
    client_.wake();
    return client_.run();
  }

  Status close() {
    client_.close();
    return {};
  }
  void add_to(Report& report, Instant start) const {
    report.elapsed = std::max(report.elapsed, client_.last_welcome() - start);
    report.refusals += client_.refusals();
    for (size_t i = 0; i < checks_.size(); ++i) {
      report.violations += checks_[i].violations((share_.first + i) % groups_.size == 0 ? 0 : options_.burst);
    }
  }

  void on_text(size_t connection, std::string_view payload, Instant) override {
    if (!in_burst_) {
      return;
    }
    const Result<Incoming> frame = reader_.read(payload);
    if (!frame || frame->type == "error") {
      client_.fail_with(frame ? refused_by_server(*frame) : frame.error());
    } else if (frame->type == "message") {
      const std::optional<Stamp> stamp = read_stamp(frame->content, options_.payload);
      if (stamp) {
        delivered_ += checks_[connection].arrived(stamp->number);
      }
    }
  }
  void on_turn() override {
    const Instant now = SystemClock().now();
    if (in_burst_ && (delivered_ == expected_ || watchdog_->stuck(now, delivered_))) {
      in_burst_ = false;
      client_.stop();
    } else if (now >= end_) {
      client_.stop();
    }
  }

 private:
  const BenchOptions& options_;
  const Groups& groups_;
  LoadClient client_;
  IncomingReader reader_;
  SeededRandom random_{SystemRandom().next()};
  const Share share_;
  Instant end_ = Instant::max();
  bool in_burst_ = false;
  uint64_t expected_ = 0;
  uint64_t delivered_ = 0;
  std::vector<SequenceCheck> checks_;
  std::optional<Watchdog> watchdog_;
};

Status create_groups(const BenchOptions& options, const Target& target, const Accounts& accounts, Groups& groups) {
  groups.size = target.dialect == Dialect::raw ? 0 : options.group_size;
  for (size_t round = 0; groups.size > 0 && round < options.groups; ++round) {
    for (size_t first = 0; first < options.connections; first += groups.size) {
      std::vector<std::string> members;
      for (size_t i = first + 1; i < std::min(first + groups.size, options.connections); ++i) {
        members.push_back(accounts.user("i", i));
      }
      RestClient owner(target, accounts, accounts.user("i", first));
      Result<Group> group = create_group(owner, members);
      if (!group) {
        return group.error();
      }
      if (round == 0) {
        groups.first.push_back(std::move(*group));
      }
    }
  }
  return {};
}

std::string describe(const BenchOptions& options, const Groups& groups) {
  std::string text = groups.size > 0 ? fmt::format("{} connections, {} conversation{} of {} users for each",
                                                   options.connections, options.groups, options.groups == 1 ? "" : "s",
                                                   std::min(groups.size, options.connections))
                                     : fmt::format("{} connections, no conversation", options.connections);
  return options.burst > 0 ? text + fmt::format(", then {} messages in each", options.burst) : text;
}

}  // namespace

Result<Report> run_idle(const BenchOptions& options, const Target& target, const Accounts& accounts) {
  const bool several_addresses = needs_several_addresses(target, options.connections);
  if (Status reserved = reserve_sockets(options.connections); !reserved) {
    return reserved.error();
  }
  Groups groups;
  if (Status created = create_groups(options, target, accounts, groups); !created) {
    return created.error();
  }
  std::vector<std::unique_ptr<IdleThread>> threads;
  for (size_t i = 0; i < options.threads; ++i) {
    threads.push_back(std::make_unique<IdleThread>(options, target, groups, i));
  }
  const auto on_all = [&](auto work) {
    return on_threads(options.threads, [&](size_t i) { return work(*threads[i]); });
  };
  const auto hold = [&] {
    const Instant end = SystemClock().now() + to_nanoseconds(options.hold);
    return on_all([end](IdleThread& thread) { return thread.hold(end); });
  };

  Report report;
  Measurement measurement(options, report);
  const Instant start = SystemClock().now();
  Status status = on_all([&](IdleThread& thread) { return thread.open(accounts, several_addresses); });
  status = status ? hold() : status;
  status = status ? measurement.finish() : status;
  if (groups.size > 0 && options.burst > 0) {
    status = status ? on_all([](IdleThread& thread) { return thread.burst(); }) : status;
    status = status ? hold() : status;
    status = status ? measurement.look_after_burst() : status;
  }
  if (!status) {
    return status.error();
  }
  std::ignore = on_all([](IdleThread& thread) { return thread.close(); });

  for (const auto& thread : threads) {
    thread->add_to(report, start);
  }
  report.title = "idle";
  report.description = describe(options, groups);
  report.connections = options.connections;
  report.connects_per_second =
      static_cast<double>(options.connections) / std::chrono::duration<double>(report.elapsed).count();
  return report;
}

}  // namespace tidemark::app
