// One publisher, many subscribers of one group: how fast a message reaches them all.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <tuple>
#include <vector>

#include "app/bench/fanout_subscribers.h"
#include "app/bench/rest_client.h"
#include "app/bench/scenario.h"

namespace tidemark::app {
namespace {

constexpr std::chrono::milliseconds kLinger{200};  // for what still comes although all has come

class FanoutThread;

// What the threads share.
struct FanoutRun {
  const BenchOptions& options;
  const Target& target;
  const Accounts& accounts;
  Group group;
  std::vector<std::unique_ptr<FanoutThread>> threads;  // the first one publishes as well
  std::atomic<uint64_t> sent{0};                       // rises before a message leaves
  std::atomic<bool> stop{false};

  bool raw() const { return target.dialect == Dialect::raw; }
  void stop_all();
};

// Speaks for the publisher on a connection of its thread.
class Publisher {
 public:
  explicit Publisher(FanoutRun& run)
      : run_(run),
        source_(run.raw() ? MessageSource::raw(run.options.payload, random_)
                          : MessageSource("conversation_id", run.group.conversation_id, run.options.payload, random_)) {}

  void begin(Instant start) {
    const BenchOptions& options = run_.options;
    schedule_.emplace(
        Schedule::Limits{options.window, options.rate, options.messages, to_nanoseconds(options.seconds)}, start);
    watchdog_.emplace(start);
  }
  Status on_text(std::string_view payload, Instant received);
  void on_turn(LoadClient& client, size_t connection);

  uint64_t unanswered() const { return source_.unanswered(); }
  const Histogram& latency() const { return latency_; }

 private:
  FanoutRun& run_;
  SystemClock clock_;
  SeededRandom random_{SystemRandom().next()};
  MessageSource source_;
  IncomingReader reader_;
  std::optional<Schedule> schedule_;
  std::optional<Watchdog> watchdog_;
  std::optional<Instant> finish_at_;
  std::optional<Instant> alarm_;
  Histogram latency_;
};

// One thread's connections: its share of the subscribers, then perhaps the publisher.
class FanoutThread final : public LoadHandler {
 public:
  FanoutThread(FanoutRun& run, size_t thread)
      : run_(run),
        client_(run.target, *this),
        share_(share_of(run.options.subscribers, run.options.threads, thread)),
        subscribers_(share_.count,
                     {run.group.conversation_id, run.group.last_seq + 1, run.options.payload, run.raw()}) {
    if (thread == 0) {
      publisher_.emplace(run);
    }
  }

  Status open(bool several_addresses) {
    const auto login_of = [this](size_t connection) {
      const bool publishes = connection == share_.count;
      const size_t number = publishes ? run_.options.subscribers : share_.first + connection;
      const std::string user = publishes ? run_.accounts.user("p", 0) : run_.accounts.user("s", number);
      return LoadClient::Login{run_.accounts.token(user), "bench", number};
    };
    return client_.open(share_.count + (publisher_ ? 1 : 0), login_of, {.several_addresses = several_addresses});
  }

  // Until FanoutRun::stop, which a failure sets for all.
  Status run(Instant start) {
    running_ = true;
    if (publisher_) {
      publisher_->begin(start);
      client_.wake();
    }
    const Status result = client_.run();
    run_.stop_all();
    return result;
  }
  Status close() {
    client_.close();
    return {};
  }

  void on_text(size_t connection, std::string_view payload, Instant received) override {
    Status status = connection < share_.count ? subscribers_.arrived(connection, payload, received, run_.sent)
                                              : publisher_->on_text(payload, received);
    if (!status) {
      client_.fail_with(status.error());
    }
  }

  void on_turn() override {
    if (!running_) {
      return;
    }
    if (completed_ != subscribers_.completed()) {
      completed_ = subscribers_.completed();
      if (!publisher_) {
        run_.threads[0]->wake();
      }
    }
    if (publisher_) {
      publisher_->on_turn(client_, share_.count);
    }
    if (run_.stop) {
      client_.stop();
    }
  }

  // Any thread:
  uint64_t completed() const { return completed_; }
  void wake() { client_.wake(); }

  // After run():
  const FanoutSubscribers& subscribers() const { return subscribers_; }
  const std::optional<Publisher>& publisher() const { return publisher_; }

 private:
  FanoutRun& run_;
  LoadClient client_;
  const Share share_;
  FanoutSubscribers subscribers_;
  std::optional<Publisher> publisher_;
  std::atomic<uint64_t> completed_{0};
  bool running_ = false;
};

void FanoutRun::stop_all() {
  stop = true;
  for (const auto& thread : threads) {
    thread->wake();
  }
}

Status Publisher::on_text(std::string_view payload, Instant received) {
  if (run_.raw()) {
    return {};  // its own message, perhaps
  }
  const Result<Incoming> frame = reader_.read(payload);
  if (!frame) {
    return frame.error();
  }
  const auto answer = source_.answer(*frame);
  if (!answer) {
    return answer.error();
  }
  if (answer->has_value()) {
    const Stamp& stamp = (*answer)->stamp;
    if (frame->seq != run_.group.last_seq + 1 + static_cast<int64_t>(stamp.number)) {
      return fail(Code::unavailable, "the sequence of the group has a gap: " + std::string(payload));
    }
    latency_.record(received - stamp.due);
  }
  return {};
}

void Publisher::on_turn(LoadClient& client, size_t connection) {
  const Instant now = clock_.now();
  const uint64_t answered = source_.sent() - source_.unanswered();
  uint64_t done = answered;
  uint64_t progress = answered + source_.sent();
  for (const auto& thread : run_.threads) {
    done = std::min(done, thread->completed());
    progress += thread->completed();
  }
  while (const std::optional<Instant> due = schedule_->due(now, source_.sent(), source_.sent() - done)) {
    run_.sent = source_.sent() + 1;
    client.send(connection, source_.next(*due));
  }
  std::optional<Instant> next = schedule_->next(source_.sent());
  if (schedule_->over(now, source_.sent())) {
    next.reset();
    if (done == source_.sent()) {
      finish_at_ = finish_at_.value_or(now + kLinger);
      next = finish_at_;
    }
  }
  if ((finish_at_ && now >= *finish_at_) || (done < source_.sent() && watchdog_->stuck(now, progress))) {
    run_.stop_all();
  } else if (next && next != alarm_) {
    alarm_ = next;
    client.wake_at(*next);
  }
}

Status open_all(FanoutRun& run) {
  const BenchOptions& options = run.options;
  const size_t connections = options.subscribers + 1;
  if (Status reserved = reserve_sockets(connections); !reserved) {
    return reserved;
  }
  if (!run.raw()) {
    std::vector<std::string> members;
    for (size_t i = 0; i < options.subscribers; ++i) {
      members.push_back(run.accounts.user("s", i));
    }
    RestClient owner(run.target, run.accounts, run.accounts.user("p", 0));
    Result<Group> group = create_group(owner, members);
    if (!group) {
      return group.error();
    }
    run.group = std::move(*group);
  }
  for (size_t i = 0; i < options.threads; ++i) {
    run.threads.push_back(std::make_unique<FanoutThread>(run, i));
  }
  const bool several_addresses = needs_several_addresses(run.target, connections);
  return on_threads(options.threads, [&](size_t i) { return run.threads[i]->open(several_addresses); });
}

}  // namespace

Result<Report> run_fanout(const BenchOptions& options, const Target& target, const Accounts& accounts) {
  FanoutRun run{options, target, accounts};
  if (Status opened = open_all(run); !opened) {
    return opened.error();
  }
  Report report;
  Measurement measurement(options, report);
  const Instant start = SystemClock().now();
  if (Status ran = on_threads(options.threads, [&](size_t i) { return run.threads[i]->run(start); }); !ran) {
    return ran.error();
  }
  if (Status measured = measurement.finish(); !measured) {
    return measured.error();
  }
  report.title = "fanout";
  report.description = fmt::format("1 publisher, {} subscribers, {} bytes, {}", options.subscribers, options.payload,
                                   pace_text(options));
  report.connections = options.subscribers + 1;
  report.messages = run.sent;
  for (const auto& thread : run.threads) {
    const FanoutSubscribers& subscribers = thread->subscribers();
    report.elapsed = std::max(report.elapsed, subscribers.last_arrival() - start);
    report.deliveries += subscribers.deliveries();
    report.delivery_latency.merge(subscribers.latency());
    report.violations += subscribers.violations(report.messages);
    if (thread->publisher()) {
      report.unanswered = thread->publisher()->unanswered();
      report.ack_latency.merge(thread->publisher()->latency());
    }
  }
  std::ignore = on_threads(options.threads, [&](size_t i) { return run.threads[i]->close(); });
  return report;
}

}  // namespace tidemark::app
