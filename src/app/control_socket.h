// The control socket: how subcommands talk to the node that uses the same data directory.
//
// A Unix stream socket `tidemark.sock` in the data directory, mode 0600. One connection is one request:
//   client: one line, a JSON object with `command` and its arguments, at most kRequestBytesMax
//   node:   lines; the first character says what the rest is: '>' output for stdout, '!' the error for people, '.' done
// A connection that ends before '!' or '.' means that the node ended.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "core/result.h"

namespace tidemark::app {

inline constexpr size_t kRequestBytesMax = 16 * 1024;

// A connected or listening socket. Owner: whoever holds it.
class ControlSocket {
 public:
  ControlSocket() = default;
  explicit ControlSocket(int descriptor) : descriptor_(descriptor) {}
  ControlSocket(ControlSocket&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)), buffer_(std::move(other.buffer_)) {}
  ControlSocket& operator=(ControlSocket&& other) noexcept;
  ~ControlSocket();

  int descriptor() const { return descriptor_; }
  bool ok() const { return descriptor_ >= 0; }

  // Waits at most `timeout` for a whole line; without its end. `unavailable` at the end of the connection or of the
  // time, `too_large` for a longer one.
  Result<std::string> read_line(size_t bytes_max, std::chrono::milliseconds timeout);
  // Sends `mark`, the line and a line end; false when the peer is gone or has taken nothing for `timeout`, or for half a
  // second in all once `hurry` is set: then half a line may have gone out.
  bool write_line(char mark, std::string_view line, std::chrono::milliseconds timeout,
                  const std::atomic<bool>* hurry = nullptr);
  bool peer_gone() const;

 private:
  int descriptor_ = -1;
  std::string buffer_;  // read behind the last line
};

// Listens in `directory`, whose lock the caller holds: what is there under that name is left from a killed node and is
// replaced. A directory with a longer path than a socket address holds is reached over /proc.
Result<ControlSocket> listen_in(const std::string& directory);
// not_found when no node listens there.
Result<ControlSocket> connect_in(const std::string& directory);
void remove_socket(const std::string& directory);

}  // namespace tidemark::app
