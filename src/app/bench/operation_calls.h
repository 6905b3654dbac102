// Operations as unary calls over gRPC, many at a time on one connection.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "core/result.h"

namespace tidemark::app {

// Owner: one thread, which has to call wait() for anything to move. Calls that are on their way at its end are given
// up.
class OperationCalls {
 public:
  // `address` is host and port, without TLS.
  explicit OperationCalls(const std::string& address);
  OperationCalls(const OperationCalls&) = delete;
  OperationCalls& operator=(const OperationCalls&) = delete;
  ~OperationCalls();

  struct Operation {
    size_t document = 0;  // the caller's number for it, comes back with the answer
    std::string_view doc_id;
    std::string_view session_id;
    std::string_view id;
    std::string_view type;
    std::string_view data;
    int64_t prev_version = 0;
  };
  // ApplyOperation in the name of whoever the token is for.
  void apply(const std::string& token, const Operation& operation);

  struct Answer {
    size_t document = 0;
    std::string id;
    int64_t version = 0;
    std::string status;
  };
  using Visit = std::function<void(const Result<Answer>& answer)>;
  // Visits what has been answered; waits at most so long for the first one. A refusal is an error.
  void wait(std::chrono::microseconds longest, const Visit& visit);

  size_t on_their_way() const { return on_their_way_; }

 private:
  struct Call;
  struct Channel;

  std::unique_ptr<Channel> channel_;
  size_t on_their_way_ = 0;
};

}  // namespace tidemark::app
