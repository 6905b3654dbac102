// The client's side of the WebSocket opening handshake (RFC 6455, section 4.1).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "app/bench/target.h"
#include "core/random.h"
#include "core/result.h"

namespace tidemark::app {

// Owner: one thread. One key serves all its connections: it is there to recognise answers to something else.
class LoadHandshake {
 public:
  LoadHandshake(const Target& target, Random& random);

  // The request to upgrade as `device`, which starts at the heads of its streams.
  std::string request(const std::string& token, const std::string& device) const;

  // Reads the head of the answer out of what has arrived: how many bytes it has, or none if it is not complete.
  // unavailable if it is anything but agreement; the text has the server's words.
  Result<std::optional<size_t>> read_answer(std::string_view arrived) const;

 private:
  const Target& target_;
  std::string key_;
  std::string accept_;
};

}  // namespace tidemark::app
