// Devices with entries waiting for them that all return at once: how long until each has everything.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <tuple>
#include <vector>

#include "app/bench/backlog.h"
#include "app/bench/scenario.h"
#include "app/bench/sequence_check.h"
#include "core/json.h"

namespace tidemark::app {
namespace {

constexpr size_t kWriters = 32;
constexpr size_t kAckEvery = 64;  // replayed entries; a server lets 256 be unconfirmed

// One thread's devices, each of its own user.
class StormThread final : public LoadHandler {
 public:
  StormThread(const BenchOptions& options, const Target& target, const Accounts& accounts, size_t thread)
      : options_(options),
        accounts_(accounts),
        client_(target, *this),
        share_(share_of(options.devices, options.threads, thread)),
        devices_(share_.count) {}

  Status open(Instant start, bool several_addresses) {
    start_ = start;
    const auto login_of = [this](size_t device) {
      const size_t number = share_.first + device;
      return LoadClient::Login{accounts_.token(accounts_.user("d", number)), "storm", number, true};
    };
    return client_.open(share_.count, login_of,
                        {several_addresses, std::max<size_t>(1, options_.at_once / options_.threads)});
  }
  Status close() {
    client_.close();
    return {};
  }

  void on_text(size_t device, std::string_view payload, Instant received) override { on_replayed(device, payload, received); }
  void on_replayed(size_t device, std::string_view payload, Instant) override {
    const Result<Incoming> frame = reader_.read(payload);
    Status status = frame ? arrived(device, *frame) : Status(frame.error());
    if (!status) {
      client_.fail_with(fail(Code::unavailable, status.error().text + " (" + std::string(payload) + ")"));
    }
  }
  void on_synced(size_t device, Instant received) override {
    latency_.record(received - start_);
    last_synced_ = received;
    confirm(device);
  }

  void add_to(Report& report) const {
    report.elapsed = std::max(report.elapsed, last_synced_ - start_);
    report.synced_latency.merge(latency_);
    report.refusals += client_.refusals();
    for (const Device& device : devices_) {
      report.deliveries += device.check.next();
      report.violations += device.check.violations(options_.entries);
    }
  }

 private:
  struct Device {
    SequenceCheck check;
    std::string conversation_id;
    int64_t seq = 0;
    int64_t confirmed = 0;
  };

  Status arrived(size_t number, const Incoming& frame) {
    if (frame.type == "error" || frame.type == "gap") {
      return fail(Code::unavailable, "a device did not get its entries");
    }
    if (frame.type != "message") {
      return {};
    }
    const std::optional<Stamp> stamp = read_stamp(frame.content, options_.payload);
    if (!stamp || stamp->number >= options_.entries || frame.seq != static_cast<int64_t>(stamp->number) + 1) {
      return fail(Code::unavailable, "an entry arrived that was not written like this");
    }
    Device& device = devices_[number];
    if (device.conversation_id.empty()) {
      device.conversation_id = frame.conversation_id;
    }
    device.check.arrived(stamp->number);
    device.seq = std::max(device.seq, frame.seq);
    if (device.seq - device.confirmed >= static_cast<int64_t>(kAckEvery)) {
      confirm(number);
    }
    return {};
  }

  void confirm(size_t number) {
    Device& device = devices_[number];
    if (device.seq == device.confirmed) {
      return;
    }
    device.confirmed = device.seq;
    std::string cursors;
    JsonWriter(cursors).begin().field(device.conversation_id, device.seq).end();
    std::string text;
    JsonWriter(text).begin().field("type", "ack").raw("cursors", cursors).end();
    client_.send(number, text);
  }

  const BenchOptions& options_;
  const Accounts& accounts_;
  LoadClient client_;
  IncomingReader reader_;
  const Share share_;
  std::vector<Device> devices_;
  Histogram latency_;
  Instant start_{};
  Instant last_synced_{};
};

Status write_backlog(const BenchOptions& options, const Target& target, const Accounts& accounts) {
  Backlog::Plan plan;
  plan.address = "to";
  plan.receivers = options.devices;
  plan.each = options.entries;
  plan.writers = std::min(kWriters, options.devices);
  plan.payload = options.payload;
  plan.receiver_of = [&](size_t number) { return accounts.user("d", number); };
  plan.user_of = [&](size_t number) { return accounts.user("w", number); };
  return Backlog(target, accounts, plan).write();
}

}  // namespace

Result<Report> run_storm(const BenchOptions& options, const Target& target, const Accounts& accounts) {
  if (Status reserved = reserve_sockets(options.devices); !reserved) {
    return reserved.error();
  }
  if (Status written = write_backlog(options, target, accounts); !written) {
    return written.error();
  }
  std::vector<std::unique_ptr<StormThread>> threads;
  for (size_t i = 0; i < options.threads; ++i) {
    threads.push_back(std::make_unique<StormThread>(options, target, accounts, i));
  }
  const bool several_addresses = needs_several_addresses(target, options.devices);
  Report report;
  Measurement measurement(options, report);
  const Instant start = SystemClock().now();
  const Status opened =
      on_threads(options.threads, [&](size_t i) { return threads[i]->open(start, several_addresses); });
  if (!opened) {
    return opened.error();
  }
  if (Status measured = measurement.finish(); !measured) {
    return measured.error();
  }
  std::ignore = on_threads(options.threads, [&](size_t i) { return threads[i]->close(); });
  report.title = "storm";
  report.description = fmt::format("{} devices return at once, {} entries of {} bytes wait for each", options.devices,
                                   options.entries, options.payload);
  report.connections = options.devices;
  for (const auto& thread : threads) {
    thread->add_to(report);
  }
  report.connects_per_second = static_cast<double>(options.devices) / std::chrono::duration<double>(report.elapsed).count();
  return report;
}

}  // namespace tidemark::app
