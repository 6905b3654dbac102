#include "app/control_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace tidemark::app {
namespace {

constexpr std::string_view kName = "tidemark.sock";
constexpr int kBacklog = 16;
constexpr std::chrono::milliseconds kSlice{100};
constexpr std::chrono::milliseconds kHurry{500};

std::string path_in(const std::string& directory) { return directory + "/" + std::string(kName); }

// The address of the socket in a directory, and what has to stay open while it is used.
struct Address {
  sockaddr_un address{};
  ControlSocket directory;  // a descriptor of the directory, where the path goes over it
};

Result<Address> address_in(const std::string& directory) {
  Address result;
  result.address.sun_family = AF_UNIX;
  std::string path = path_in(directory);
  if (path.size() >= sizeof result.address.sun_path) {
    result.directory = ControlSocket(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!result.directory.ok()) {
      return fail(errno == ENOENT ? Code::not_found : Code::unavailable,
                  "cannot open " + directory + ": " + std::strerror(errno));
    }
    path = path_in("/proc/self/fd/" + std::to_string(result.directory.descriptor()));
    if (::access("/proc/self/fd", F_OK) != 0) {
      return fail(Code::unavailable, "the path of " + directory + " is too long for a socket (" +
                                         std::to_string(sizeof result.address.sun_path - kName.size() - 2) +
                                         " bytes) and /proc is not there: use a shorter directory in storage.url");
    }
  }
  std::memcpy(result.address.sun_path, path.c_str(), path.size() + 1);
  return result;
}

int millis(std::chrono::milliseconds timeout) { return static_cast<int>(timeout.count()); }

}  // namespace

ControlSocket& ControlSocket::operator=(ControlSocket&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(buffer_, other.buffer_);
  return *this;
}

ControlSocket::~ControlSocket() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

Result<std::string> ControlSocket::read_line(size_t bytes_max, std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  size_t looked_at = 0;
  for (;;) {
    const size_t end = buffer_.find('\n', looked_at);
    if (end != std::string::npos && end <= bytes_max) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return line;
    }
    if (end != std::string::npos || buffer_.size() > bytes_max) {
      return fail(Code::too_large, "a line is longer than " + std::to_string(bytes_max) + " bytes");
    }
    looked_at = buffer_.size();
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd waiting{descriptor_, POLLIN, 0};
    const int ready = left.count() <= 0 ? 0 : ::poll(&waiting, 1, millis(left));
    if (ready < 0 && errno == EINTR) {
      continue;
    }
    if (ready <= 0) {
      return fail(Code::unavailable, "no line came in time");
    }
    char bytes[16 * 1024];
    const ssize_t got = ::recv(descriptor_, bytes, sizeof bytes, 0);
    if (got > 0) {
      buffer_.append(bytes, static_cast<size_t>(got));
    } else if (got == 0 || errno != EINTR) {
      return fail(Code::unavailable, "the connection ended");
    }
  }
}

bool ControlSocket::write_line(char mark, std::string_view line, std::chrono::milliseconds timeout,
                               const std::atomic<bool>* hurry) {
  std::string bytes;
  bytes.reserve(line.size() + 2);
  bytes += mark;
  bytes += line;
  bytes += '\n';
  using Time = std::chrono::steady_clock::time_point;
  Time progressed = std::chrono::steady_clock::now();
  Time hurried = Time::max();  // when it has to be over
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t put = ::send(descriptor_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    const Time now = std::chrono::steady_clock::now();
    if (hurry != nullptr && hurry->load() && hurried == Time::max()) {
      hurried = now + kHurry;
    }
    if (put >= 0) {
      sent += static_cast<size_t>(put);
      progressed = now;
      continue;
    }
    if (errno == EINTR) {
      continue;
    }
    const auto left = std::min(progressed + timeout, hurried) - now;
    if (errno != EAGAIN || left.count() <= 0) {
      return false;
    }
    // In slices, because nobody wakes it when there is need to hurry.
    pollfd waiting{descriptor_, POLLOUT, 0};
    ::poll(&waiting, 1, millis(std::min(std::chrono::ceil<std::chrono::milliseconds>(left), kSlice)));
  }
  return true;
}

bool ControlSocket::peer_gone() const {
  pollfd waiting{descriptor_, POLLRDHUP, 0};
  return ::poll(&waiting, 1, 0) > 0;
}

Result<ControlSocket> listen_in(const std::string& directory) {
  auto address = address_in(directory);
  if (!address.ok()) {
    return address.error();
  }
  ControlSocket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ::unlink(address->address.sun_path);
  // The mode of the descriptor becomes the mode of the file at once: nobody else can connect in between.
  if (!socket.ok() || ::fchmod(socket.descriptor(), 0600) != 0 ||
      ::bind(socket.descriptor(), reinterpret_cast<const sockaddr*>(&address->address), sizeof address->address) != 0 ||
      ::chmod(address->address.sun_path, 0600) != 0 || ::listen(socket.descriptor(), kBacklog) != 0) {
    return fail(Code::unavailable, "cannot listen on " + path_in(directory) + ": " + std::strerror(errno));
  }
  return socket;
}

Result<ControlSocket> connect_in(const std::string& directory) {
  auto address = address_in(directory);
  if (!address.ok()) {
    return address.error();
  }
  ControlSocket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.ok() || ::connect(socket.descriptor(), reinterpret_cast<const sockaddr*>(&address->address),
                                sizeof address->address) != 0) {
    // ENOENT: never made, or taken away at a clean end. ECONNREFUSED: left by a killed node.
    const bool nobody = errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR;
    return fail(nobody ? Code::not_found : Code::unavailable,
                "cannot connect to " + path_in(directory) + ": " + std::strerror(errno));
  }
  return socket;
}

void remove_socket(const std::string& directory) { ::unlink(path_in(directory).c_str()); }

}  // namespace tidemark::app
