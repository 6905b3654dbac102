// The table of commands: one row per thing a client can ask for, shared by every door.
//
// A row says the name on the WebSocket (`type`), the REST call (`method` and `path`), the fields with their limits, who
// may, and what does it. Doors parse and render; rooms fill rows. Filled at wiring, immutable while workers run.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "command/caller.h"
#include "command/request.h"
#include "core/clock.h"
#include "core/task.h"
#include "stream/subscriber.h"

namespace tidemark::command {

// What a handler answers. `fields` are the members of the WebSocket frame beside `type` and `id`; `data` is the JSON
// object of the REST answer. Each handler fills what its row's doors need.
struct Reply {
  std::string type;    // empty: the WebSocket sends no answer
  std::string fields;  // JSON members without braces
  std::string data;    // JSON object; empty: {}
  bool created = false;
  // A `sent` names the entry it stored, so that the connection that sent it does not get it again from the log.
  stream::StreamRef stream;
  int64_t seq = 0;  // 0: none
  // The connection that asked follows this stream from now on, behind the answer; or no longer, before it.
  std::optional<stream::FollowRequest> follow;
  std::optional<stream::StreamKey> unfollow;
};

using Handler = std::function<Task<Result<Reply>>(Caller, Request)>;

enum class Access : uint8_t {
  user,   // acts as a user: a service must name one
  scope,  // a user, or a service for its whole tenant
  admin,  // the role admin, for its tenant; whom it acts for does not matter
};
struct Row {
  std::string_view type;     // empty: not on the WebSocket
  std::string_view method;   // empty: not on REST
  std::string_view path;     // under /api/v1, with {name} for a path field
  std::string_view summary;
  Fields fields;
  Access access = Access::user;
  Rate rate = Rate::query;  // what says nothing is limited too
  std::string_view too_fast = {};  // the text of `rate_limited`; empty: that of the class
  Handler handler;
};

class Table {
 public:
  Table(RateLimiter& limiter, const Clock& clock) : limiter_(limiter), clock_(clock) {}

  void add(Row row);
  void freeze();  // after the last add(): builds the lookups

  const Row* by_type(std::string_view type) const;

  struct Match {
    const Row* row = nullptr;  // null: not found, or found under other methods only
    std::vector<std::pair<std::string_view, std::string>> path_values;
    std::string allowed;  // methods of this path, separated by ", "; empty: no such path
  };
  // `path` is below /api/v1 and still percent-encoded.
  Match by_path(std::string_view method, std::string_view path) const;

  // Whether the caller may ask for the row at all: `forbidden` without the role, invalid_field where a service names no
  // user. Doors ask before they read the fields, so that nobody learns more than that.
  static Status permits(const Row& row, const Caller& caller);
  // Takes what such a request costs from the caller's allowance, else rate_limited; a service has none to keep. For what
  // has no row. Continues on the calling worker.
  Task<Status> charge(Rate rate, Caller* caller) const;
  // Permission, rate limit, handler. Continues on the calling worker; the caller must be alive in nothing but itself.
  Task<Result<Reply>> run(const Row& row, Caller caller, Request request) const;

  const std::vector<Row>& rows() const { return rows_; }

 private:
  RateLimiter& limiter_;
  const Clock& clock_;
  std::vector<Row> rows_;
  std::unordered_map<std::string_view, const Row*> by_type_;
};

// Percent-decoding (RFC 3986, 2.1); nothing if an escape is broken. In a query `+` is a space.
std::optional<std::string> percent_decode(std::string_view text, bool query);

}  // namespace tidemark::command
