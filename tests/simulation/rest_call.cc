#include "rest_call.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace tidemark::simulation {

RestCall::RestCall(World& world, const std::string& user, std::string_view method, const std::string& path,
                   const std::string& body)
    : socket_(world.connect()) {
  out_ = std::string(method) + " /api/v1" + path + " HTTP/1.1\r\nHost: simulated\r\nAuthorization: Bearer " +
         world.token("backend", true) + "\r\nTidemark-User: " + user + "\r\nContent-Type: application/json\r\n" +
         (body.empty() ? "" : "Content-Length: " + std::to_string(body.size()) + "\r\n") + "\r\n" + body;
  read();
}

RestCall::~RestCall() { cut(); }

void RestCall::cut() {
  if (socket_ >= 0) {
    ::close(socket_);
    socket_ = -1;
  }
}

void RestCall::read() {
  if (socket_ < 0) {
    return;
  }
  while (!out_.empty()) {
    const ssize_t written = ::send(socket_, out_.data(), out_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (written <= 0) {
      break;
    }
    out_.erase(0, static_cast<size_t>(written));
  }
  char buffer[4096];
  const ssize_t got = ::recv(socket_, buffer, sizeof buffer, MSG_DONTWAIT);
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
    cut();
    return;
  }
  if (got > 0) {
    in_.append(buffer, static_cast<size_t>(got));
  }
  const size_t end = in_.find("\r\n\r\n");
  constexpr std::string_view kLength = "Content-Length: ";
  const size_t length_at = in_.find(kLength);
  if (end == std::string::npos || length_at == std::string::npos || length_at > end) {
    return;
  }
  const auto length = static_cast<size_t>(std::atoll(in_.c_str() + length_at + kLength.size()));
  if (in_.size() >= end + 4 + length) {
    status_ = std::atoi(in_.c_str() + 9);
    cut();
  }
}

}  // namespace tidemark::simulation
