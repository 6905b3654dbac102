#include "app/bench/pairs.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

namespace tidemark::app {
namespace {

constexpr std::chrono::milliseconds kLinger{200};  // for what still comes although all has come

size_t connections_each(Traffic traffic) {
  return traffic == Traffic::messages || traffic == Traffic::typing ? 2 : 1;
}

// One thread's pairs. The writer of pair n is connection 2n, the reader 2n + 1; without readers the writer is n.
class PairsThread final : public LoadHandler {
 public:
  PairsThread(const BenchOptions& options, const Target& target, const Accounts& accounts, Traffic traffic,
              std::atomic<bool>& stop, size_t thread)
      : options_(options),
        accounts_(accounts),
        traffic_(traffic),
        each_(connections_each(traffic)),
        stop_(stop),
        client_(target, *this),
        thread_(thread),
        share_(share_of(options.pairs, options.threads, thread)) {
    for (size_t i = 0; i < share_.count; ++i) {
      const std::string receiver = accounts.user(each_ == 1 ? "w" : "r", share_.first + i);
      pairs_.emplace_back(traffic, receiver, options.payload, random_);
      if (traffic == Traffic::typing) {
        greetings_.emplace_back("to", receiver, kPayloadBytesMin, random_);
      }
    }
  }

  Status open(bool several_addresses) {
    const auto login_of = [this](size_t connection) {
      const size_t pair = share_.first + connection / each_;
      const std::string user = accounts_.user(connection % each_ == 0 ? "w" : "r", pair);
      return LoadClient::Login{accounts_.token(user), "bench", each_ * share_.first + connection};
    };
    const Status opened = client_.open(each_ * share_.count, login_of, {.several_addresses = several_addresses});
    return opened && !greetings_.empty() ? greet() : opened;
  }

  Status run(Instant start) {
    const auto messages = share_of(options_.messages, options_.threads, thread_);
    const double rate = options_.rate / static_cast<double>(options_.threads);
    schedule_.emplace(Schedule::Limits{options_.window, rate, messages.count, to_nanoseconds(options_.seconds)}, start);
    watchdog_.emplace(start);
    for (size_t i = 0; i < pairs_.size(); ++i) {
      touched_.push_back(i);
    }
    client_.wake();
    const Status result = client_.run();
    if (!result) {
      stop_ = true;
    }
    return result;
  }

  Status close() {
    client_.close();
    return {};
  }

  void on_text(size_t connection, std::string_view payload, Instant received) override {
    if (!schedule_) {
      on_greeting(connection / each_, connection % each_ == 0, payload);
      return;
    }
    Pair& pair = pairs_[connection / each_];
    const uint64_t done_before = pair.done();
    const Status status = traffic_ == Traffic::echo
                              ? note(delivery_latency_, pair.on_echo(payload), received)
                              : on_frame(pair, connection % each_ == 0, payload, received);
    if (!status) {
      client_.fail_with(fail(Code::unavailable, status.error().text + " (" + std::string(payload) + ")"));
    }
    done_ += pair.done() - done_before;
    touched_.push_back(connection / each_);
  }

  void on_turn() override {
    if (!schedule_) {
      return;
    }
    const Instant now = clock_.now();
    std::optional<Instant> next;
    if (options_.rate > 0) {
      send_at_rate(now);
      next = schedule_->next(sent_);
    } else {
      send_by_window(now);
    }
    touched_.clear();
    if (schedule_->over(now, sent_)) {
      next.reset();
      if (done_ == sent_) {
        finish_at_ = finish_at_.value_or(now + kLinger);
        next = finish_at_;
      }
    }
    if (stop_ || (finish_at_ && now >= *finish_at_) || (done_ < sent_ && watchdog_->stuck(now, sent_ + arrived_))) {
      client_.stop();
    } else if (next && next != alarm_) {
      alarm_ = next;
      client_.wake_at(*next);
    }
  }

  void add_to(Report& report, Instant start) const {
    report.elapsed = std::max(report.elapsed, last_arrival_ - start);
    report.messages += sent_;
    report.deliveries += delivery_latency_.count();
    report.ack_latency.merge(ack_latency_);
    report.delivery_latency.merge(delivery_latency_);
    for (const Pair& pair : pairs_) {
      report.unanswered += pair.unanswered();
      report.violations += pair.violations();
    }
  }

 private:
  // Typing is relayed within a conversation, which the first message makes. Waits until the readers have it, since only
  // then they follow.
  Status greet() {
    for (size_t i = 0; i < greetings_.size(); ++i) {
      client_.send(each_ * i, greetings_[i].next(clock_.now()));
    }
    return client_.run();
  }
  void on_greeting(size_t pair, bool to_writer, std::string_view payload) {
    const Result<Incoming> frame = reader_.read(payload);
    const auto answer = frame ? greetings_[pair].answer(*frame) : frame.error();
    if (!answer && to_writer) {
      client_.fail_with(answer.error());
    }
    greeted_ += !to_writer && frame && frame->type == "message";
    if (greeted_ == greetings_.size()) {
      client_.stop();
    }
  }

  Status on_frame(Pair& pair, bool to_writer, std::string_view payload, Instant received) {
    const Result<Incoming> frame = reader_.read(payload);
    if (!frame) {
      return frame.error();
    }
    if (to_writer && traffic_ != Traffic::typing) {
      return note(ack_latency_, pair.on_answer(*frame), received);
    }
    return note(delivery_latency_, pair.on_delivery(*frame), received);
  }

  Status note(Histogram& histogram, const Result<std::optional<Instant>>& due, Instant received) {
    if (!due) {
      return due.error();
    }
    if (due->has_value()) {
      histogram.record(received - **due);
      last_arrival_ = received;
      ++arrived_;
    }
    return {};
  }

  void send_by_window(Instant now) {
    for (const size_t number : touched_) {
      while (const auto due = schedule_->due(now, sent_, pairs_[number].sent() - pairs_[number].done())) {
        send(number, *due);
      }
    }
  }

  // The pairs take turns.
  void send_at_rate(Instant now) {
    while (const auto due = schedule_->due(now, sent_, 0)) {
      send(sent_ % pairs_.size(), *due);
    }
  }

  void send(size_t number, Instant due) {
    client_.send(each_ * number, pairs_[number].next(due));
    ++sent_;
  }

  const BenchOptions& options_;
  const Accounts& accounts_;
  const Traffic traffic_;
  const size_t each_;  // connections of a pair
  std::atomic<bool>& stop_;  // set by the first thread that fails
  SystemClock clock_;
  SeededRandom random_{SystemRandom().next()};
  LoadClient client_;
  IncomingReader reader_;
  const size_t thread_;
  const Share share_;
  std::vector<Pair> pairs_;
  std::vector<MessageSource> greetings_;  // typing: what each pair says first
  size_t greeted_ = 0;
  std::vector<size_t> touched_;  // pairs that may have room for a message
  std::optional<Schedule> schedule_;
  std::optional<Watchdog> watchdog_;
  std::optional<Instant> finish_at_;
  std::optional<Instant> alarm_;
  uint64_t sent_ = 0;
  uint64_t done_ = 0;
  uint64_t arrived_ = 0;  // answers and deliveries
  Histogram ack_latency_;
  Histogram delivery_latency_;
  Instant last_arrival_{};
};

std::string describe(const BenchOptions& options, Traffic traffic) {
  const std::string pace = pace_text(options) + (options.rate > 0 ? "" : " in each");
  switch (traffic) {
    case Traffic::messages: return fmt::format("{} pairs, {} bytes, {}", options.pairs, options.payload, pace);
    case Traffic::appends: return fmt::format("{} senders, {} bytes, {}", options.pairs, options.payload, pace);
    case Traffic::typing: return fmt::format("{} pairs, typing signals, {}", options.pairs, pace);
    case Traffic::echo: return fmt::format("{} echoed connections, {} bytes, {}", options.pairs, options.payload, pace);
  }
  return pace;
}

}  // namespace

Result<Report> run_pairs(const BenchOptions& options, const Target& target, const Accounts& accounts, Traffic traffic) {
  const size_t connections = connections_each(traffic) * options.pairs;
  if (Status reserved = reserve_sockets(connections); !reserved) {
    return reserved.error();
  }
  std::atomic<bool> stop{false};
  std::vector<std::unique_ptr<PairsThread>> threads;
  for (size_t i = 0; i < options.threads; ++i) {
    threads.push_back(std::make_unique<PairsThread>(options, target, accounts, traffic, stop, i));
  }
  const bool several_addresses = needs_several_addresses(target, connections);
  const Status opened = on_threads(options.threads, [&](size_t i) { return threads[i]->open(several_addresses); });
  if (!opened) {
    return opened.error();
  }

  Report report;
  Measurement measurement(options, report);
  const Instant start = SystemClock().now();
  if (Status ran = on_threads(options.threads, [&](size_t i) { return threads[i]->run(start); }); !ran) {
    return ran.error();
  }
  if (Status measured = measurement.finish(); !measured) {
    return measured.error();
  }
  std::ignore = on_threads(options.threads, [&](size_t i) { return threads[i]->close(); });

  report.title = traffic == Traffic::appends ? "append" : "direct";
  report.description = describe(options, traffic);
  report.connections = connections;
  for (const auto& thread : threads) {
    thread->add_to(report, start);
  }
  return report;
}

}  // namespace tidemark::app
