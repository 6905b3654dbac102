// Calls: what every call on every gRPC port goes through: a place, who calls, and the count of how it ended.
//
// Owner: none; any thread where nothing else is said. Made at wiring; outlives the servers and the workers' run.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "command/table.h"
#include "core/metrics.h"
#include "rpc/call_gate.h"
#include "rpc/peer.h"
#include "session/session.h"

namespace tidemark::rpc {

struct CallOptions {
  size_t calls = 1024;  // under way at the same time, without subscriptions; above: unavailable
  // Calls without a token from this machine act as service and admin of the tenant `default`.
  bool dev = false;
  std::string node;
};

// What a call shows of itself.
struct Shown {
  std::optional<std::string> authorization;  // the value of the metadata of this name
  bool more_than_one = false;
  Peer peer;
};

// Roles service and admin act for every user of their tenant, others for themselves.
inline bool acts_for_all(const command::Caller& caller) { return caller.service || caller.admin; }
// Whose objects the caller may touch.
UserKey scope_of(const command::Caller& caller);

// `forbidden` unless the caller may act for `user`, which is named in that field of a request. Empty: for itself, and a
// service or admin for its whole tenant. What comes back is for the rooms: its `user` is whose rights count.
Result<command::Caller> act_as(const command::Caller& caller, std::string_view field, const std::string& user);

// Who calls, and with what.
struct Identity {
  command::Caller caller;
  UserKey owner;  // whom the token names, also for a service
  account::TokenMark token;
  bool with_token = false;  // none is needed in dev mode
};

// How often a method was called, how it ended and how long it took.
class Method {
 public:
  // `name` as in the path of a call: "session.SessionService/GetSession".
  Method(MetricRegistry& metrics, std::string name);

  const std::string& name() const { return name_; }
  // `status`: a number of grpc::StatusCode.
  void count(int status);
  void observe(std::chrono::nanoseconds took) { seconds_.observe(std::chrono::duration<double>(took).count()); }

 private:
  static constexpr size_t kStatuses = 17;

  MetricRegistry& metrics_;
  const std::string name_;
  std::array<std::atomic<Counter*>, kStatuses> ended_{};  // registered when it is first seen
  Histogram& seconds_;
};

class Calls {
 public:
  Calls(WorkerPool& workers, session::Sessions& sessions, const command::Table& table, const Clock& clock,
        MetricRegistry& metrics, CallOptions options);
  ~Calls();

  CallGate& gate() { return gate_; }
  Worker& next_worker();
  const Clock& clock() const { return clock_; }
  MetricRegistry& metrics() { return metrics_; }
  const CallOptions& options() const { return options_; }

  // On a worker, and continues there. `unauthorized`, and a line in the log, without a token that is good now.
  Task<Result<Identity>> identify(const Shown* shown, const Method* method) const;
  // As command::Table::charge().
  Task<Status> charge(command::Rate rate, command::Caller* caller) const { return table_.charge(rate, caller); }

 private:
  Task<Result<Identity>> verify(const Shown* shown) const;

  WorkerPool& workers_;
  session::Sessions& sessions_;
  const command::Table& table_;
  const Clock& clock_;
  MetricRegistry& metrics_;
  const CallOptions options_;
  CallGate gate_;
  std::atomic<unsigned> next_{0};
};

// The fields of a text field that has to be an id. `required`: empty is missing_field, else it passes.
Status check_id(std::string_view field, std::string_view value, bool required);
// The id of a document, a session and the like, which this program gave out: 1 to 128 bytes, whatever they are.
Status check_object_id(std::string_view field, std::string_view value);
// A text of at most so many bytes.
Status check_text(std::string_view field, std::string_view value, size_t bytes_max);
// An idempotency key: at most 64 characters.
Status check_key(std::string_view field, std::string_view value);

}  // namespace tidemark::rpc
