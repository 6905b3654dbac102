// Pairs of users, one writes to the other: how fast a message is acknowledged and delivered.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "app/bench/scenario.h"

namespace tidemark::app {
namespace {

constexpr std::chrono::milliseconds kLinger{200};  // for what still comes although all has come

// One who writes and one who reads.
struct Pair {
  MessageSource source;
  SequenceCheck check;
  uint64_t delivered = 0;
  uint64_t done = 0;
  std::optional<int64_t> first_seq;  // of message 0, as the first frame that tells

  uint64_t in_flight() const { return source.sent() - done; }
  bool has_number(const Stamp& stamp, int64_t seq) {
    const int64_t first = seq - static_cast<int64_t>(stamp.number);
    return first == first_seq.value_or(first) && (first_seq = first, true);
  }
};

// One thread's pairs. The writer of pair n is connection 2n, the reader 2n + 1.
class DirectThread final : public LoadHandler {
 public:
  DirectThread(const BenchOptions& options, const Target& target, const Accounts& accounts, std::atomic<bool>& stop,
               size_t thread)
      : options_(options),
        accounts_(accounts),
        stop_(stop),
        client_(target, *this),
        thread_(thread),
        share_(share_of(options.pairs, options.threads, thread)) {
    for (size_t i = 0; i < share_.count; ++i) {
      pairs_.push_back(Pair{MessageSource("to", accounts.user("r", share_.first + i), options.payload, random_)});
    }
  }

  Status open(bool several_addresses) {
    const auto login_of = [this](size_t connection) {
      const size_t pair = share_.first + connection / 2;
      const std::string user = accounts_.user(connection % 2 == 0 ? "w" : "r", pair);
      return LoadClient::Login{accounts_.token(user), "bench", 2 * share_.first + connection};
    };
    return client_.open(2 * share_.count, login_of, several_addresses);
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
    Pair& pair = pairs_[connection / 2];
    const Result<Incoming> frame = reader_.read(payload);
    if (!frame) {
      client_.fail_with(frame.error());
      return;
    }
    const Status status =
        connection % 2 == 0 ? on_answer(pair, *frame, received) : on_delivery(pair, *frame, received);
    if (!status) {
      client_.fail_with(fail(Code::unavailable, status.error().text + " (" + std::string(payload) + ")"));
    }
    const uint64_t done = std::min(pair.delivered, pair.source.sent() - pair.source.unanswered());
    done_ += done - std::exchange(pair.done, done);
    touched_.push_back(connection / 2);
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
      report.unanswered += pair.source.unanswered();
      report.violations += pair.check.violations(pair.source.sent());
    }
  }

 private:
  Status on_answer(Pair& pair, const Incoming& frame, Instant received) {
    const auto answer = pair.source.answer(frame);
    if (!answer) {
      return answer.error();
    }
    if (answer->has_value()) {
      const Stamp& stamp = (*answer)->stamp;
      if (!pair.has_number(stamp, frame.seq)) {
        return fail(Code::unavailable, "the sequence of a conversation has a gap");
      }
      arrived(ack_latency_, stamp, received);
    }
    return {};
  }

  Status on_delivery(Pair& pair, const Incoming& frame, Instant received) {
    if (frame.type == "error") {
      return refused_by_server(frame);
    }
    if (frame.type != "message") {
      return {};
    }
    const std::optional<Stamp> stamp = read_stamp(frame.content, options_.payload);
    if (!stamp || stamp->number >= pair.source.sent() || !pair.has_number(*stamp, frame.seq)) {
      return fail(Code::unavailable, "a message arrived that was not sent like this");
    }
    if (pair.check.arrived(stamp->number)) {
      ++pair.delivered;
      arrived(delivery_latency_, *stamp, received);
    }
    return {};
  }

  void arrived(Histogram& histogram, const Stamp& stamp, Instant received) {
    histogram.record(received - stamp.due);
    last_arrival_ = received;
    ++arrived_;
  }

  void send_by_window(Instant now) {
    for (const size_t number : touched_) {
      while (const auto due = schedule_->due(now, sent_, pairs_[number].in_flight())) {
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
    client_.send(2 * number, pairs_[number].source.next(due));
    ++sent_;
  }

  const BenchOptions& options_;
  const Accounts& accounts_;
  std::atomic<bool>& stop_;  // set by the first thread that fails
  SystemClock clock_;
  SeededRandom random_{SystemRandom().next()};
  LoadClient client_;
  IncomingReader reader_;
  const size_t thread_;
  const Share share_;
  std::vector<Pair> pairs_;
  std::vector<size_t> touched_;  // pairs that may have room for a message
  std::optional<Schedule> schedule_;
  std::optional<Watchdog> watchdog_;
  std::optional<Instant> finish_at_;
  std::optional<Instant> alarm_;
  uint64_t sent_ = 0;
  uint64_t done_ = 0;     // answered and delivered
  uint64_t arrived_ = 0;  // answers and deliveries
  Histogram ack_latency_;
  Histogram delivery_latency_;
  Instant last_arrival_{};
};

}  // namespace

Result<Report> run_direct(const BenchOptions& options, const Target& target, const Accounts& accounts) {
  if (Status reserved = reserve_sockets(2 * options.pairs); !reserved) {
    return reserved.error();
  }
  std::atomic<bool> stop{false};
  std::vector<std::unique_ptr<DirectThread>> threads;
  for (size_t i = 0; i < options.threads; ++i) {
    threads.push_back(std::make_unique<DirectThread>(options, target, accounts, stop, i));
  }
  const bool several_addresses = needs_several_addresses(target, 2 * options.pairs);
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

  report.title = "direct";
  report.description = fmt::format("{} pairs, {} bytes, {}{}", options.pairs, options.payload, pace_text(options),
                                   options.rate > 0 ? "" : " in each");
  report.connections = 2 * options.pairs;
  for (const auto& thread : threads) {
    thread->add_to(report, start);
  }
  return report;
}

}  // namespace tidemark::app
