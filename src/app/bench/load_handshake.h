// The client's side of the WebSocket opening handshake (RFC 6455, section 4.1).
#pragma once

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

  // The request to upgrade as `device`, which starts at its cursors or at the heads of its streams. To a server of the
  // raw dialect: a request that names nobody.
  std::string request(const std::string& token, const std::string& device, bool replay) const;

  struct Answer {
    size_t size = 0;  // of the head; 0: it is not complete
    bool retry = false;  // the server has no room now (503): try again
  };
  // Reads the head of the answer out of what has arrived. unavailable if it is anything but agreement or a request to
  // come back; the text has the server's words.
  Result<Answer> read_answer(std::string_view arrived) const;

 private:
  const Target& target_;
  std::string key_;
  std::string accept_;
};

}  // namespace tidemark::app
