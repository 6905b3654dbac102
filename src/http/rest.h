// REST from the command table: token, fields, handler, envelope.
//
// The order of refusals: path (404), method (405), token (401), for whom (403, 400), fields, then what the row says.
// In dev mode a call without a token is that of the user whom it names (Tidemark-User), as `register` with a bare user id.
#pragma once

#include <string>

#include "command/table.h"
#include "core/task.h"
#include "http/request_reader.h"
#include "http/response.h"

namespace tidemark::session {
class Sessions;
}

namespace tidemark::http {

struct RestCall {
  HttpRequest request;
  std::string client_ip;
  int client_port = 0;
};

// Owner: none; stateless, every worker may call. What it refers to and itself outlive the workers' run.
class Rest {
 public:
  static constexpr std::string_view kPrefix = "/api/v1";
  static bool serves(std::string_view path) { return path == kPrefix || path.starts_with("/api/v1/"); }

  Rest(const command::Table& table, session::Sessions& sessions, bool dev = false)
      : table_(table), sessions_(sessions), dev_(dev) {}

  // Answers a request whose path serves() takes. Continues on the calling worker. HEAD is answered like GET, with the
  // body.
  Task<Response> serve(RestCall call) const;

 private:
  Task<Result<command::Caller>> identify(const RestCall* call) const;

  const command::Table& table_;
  session::Sessions& sessions_;
  const bool dev_;
};

}  // namespace tidemark::http
