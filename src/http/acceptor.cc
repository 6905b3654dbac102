#include "http/acceptor.h"

#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/ip/v6_only.hpp>
#include <cstring>

#include "core/log.h"

namespace tidemark::http {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;

constexpr int kBacklog = 4096;
constexpr int kAcceptsPerWake = 64;  // then other sockets of the worker have their turn
// Bytes that the kernel takes ahead of what the peer's window lets out. Without it a peer that does not read costs up to
// 4 MiB of kernel memory, which no limit of ours would see. What is on its way is not counted, so speed is not touched.
constexpr int kUnsentBytes = 64 * 1024;
constexpr auto kPause = std::chrono::milliseconds(100);
constexpr auto kLogEvery = std::chrono::seconds(1);

// A descriptor on its way to its worker. Closed if it never arrives.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (number_ >= 0) {
      ::close(number_);
    }
  }
  int get() const { return number_; }
  void release() { number_ = -1; }

 private:
  int number_;
};

Result<boost::asio::ip::address> address_of(const std::string& host) {
  if (host.empty()) {
    return boost::asio::ip::address(boost::asio::ip::address_v4::any());
  }
  if (host == "localhost") {
    return boost::asio::ip::address(boost::asio::ip::address_v4::loopback());
  }
  error_code error;
  const auto address = boost::asio::ip::make_address(host, error);
  if (error) {
    return fail(Code::invalid_field, "not an IP address to listen on: " + host);
  }
  return address;
}

// Beyond the scarce and the nearly exhausted part of the reserve nothing is accepted.
constexpr size_t kReserveMax = 256;

size_t reserve_of(size_t limit) { return std::min(kReserveMax, limit / 4); }

}  // namespace

Room room_at(int descriptor, size_t limit) {
  const size_t left = limit - std::min(limit, static_cast<size_t>(descriptor));
  const size_t reserve = reserve_of(limit);
  return left > reserve ? Room::enough : left > reserve / 2 ? Room::scarce : Room::nearly_none;
}

Acceptor::Acceptor(WorkerPool& workers, Accepted accepted, bool uses_reserve)
    : workers_(workers),
      accepted_(std::move(accepted)),
      uses_reserve_(uses_reserve),
      acceptor_(workers.at(0).io()),
      retry_([](void* self) { static_cast<Acceptor*>(self)->accept_ready(); }, this) {}

Status Acceptor::listen(const std::string& host, int port) {
  const auto address = address_of(host);
  if (!address.ok()) {
    return address.error();
  }
  const Endpoint endpoint(*address, static_cast<uint16_t>(port));
  error_code error;
  acceptor_.open(endpoint.protocol(), error);
  const auto step = [&error](auto action) {
    if (!error) {
      action();
    }
  };
  step([&] { acceptor_.set_option(tcp::acceptor::reuse_address(true), error); });
  step([&] {
    if (endpoint.address().is_v6()) {
      acceptor_.set_option(boost::asio::ip::v6_only(false), error);
    }
  });
  step([&] { acceptor_.bind(endpoint, error); });
  step([&] { inherit_options(); });
  step([&] { acceptor_.listen(kBacklog, error); });
  step([&] { acceptor_.non_blocking(true, error); });
  if (error) {
    error_code ignored;
    acceptor_.close(ignored);
    return fail(Code::unavailable, "cannot listen on " + host + ":" + std::to_string(port) + ": " + error.message());
  }
  port_ = acceptor_.local_endpoint(error).port();
  rlimit descriptors{};
  if (!uses_reserve_ && ::getrlimit(RLIMIT_NOFILE, &descriptors) == 0) {
    descriptors_max_ = descriptors.rlim_cur;
  }
  workers_.at(0).post([this] { wait(); });
  return {};
}

// On Linux every accepted socket has what the listening one has: no system calls for each.
void Acceptor::inherit_options() {
  const int one = 1;
  ::setsockopt(acceptor_.native_handle(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  ::setsockopt(acceptor_.native_handle(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kUnsentBytes, sizeof kUnsentBytes);
}

void Acceptor::close() {
  workers_.at(0).post([this] {
    error_code ignored;
    acceptor_.close(ignored);
    workers_.at(0).cancel(retry_);
  });
}

void Acceptor::wait() {
  if (!acceptor_.is_open()) {
    return;
  }
  acceptor_.async_wait(tcp::acceptor::wait_read, [this](const error_code& error) {
    if (!error) {
      accept_ready();
    }
  });
}

void Acceptor::accept_ready() {
  for (int i = 0; i < kAcceptsPerWake && acceptor_.is_open(); ++i) {
    Endpoint peer;
    auto length = static_cast<socklen_t>(peer.capacity());
    const int descriptor =
        ::accept4(acceptor_.native_handle(), peer.data(), &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor >= 0) {
      peer.resize(length);
      if (descriptors_max_ - static_cast<size_t>(descriptor) <= reserve_of(descriptors_max_) / 4) {
        ::close(descriptor);
        complain("nearly all file descriptors are in use");
        continue;
      }
      hand_over(descriptor, peer, room_at(descriptor, descriptors_max_));
      continue;
    }
    switch (errno) {
      case EAGAIN: return wait();
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM: return pause(errno);
      default: continue;  // that connection has died in the backlog
    }
  }
  wait();
}

void Acceptor::hand_over(int descriptor, const Endpoint& peer, Room room) {
  Worker& worker = workers_.at(next_worker_);
  next_worker_ = (next_worker_ + 1) % workers_.size();
  worker.post([this, &worker, owned = Descriptor(descriptor), peer, room]() mutable {
    Socket socket(worker.io());
    error_code error;
    socket.assign(peer.protocol(), owned.get(), error);
    if (error) {
      return;
    }
    owned.release();
    socket.non_blocking(true, error);
    if (!error) {
      accepted_(worker, std::move(socket), peer, room);
    }
  });
}

void Acceptor::pause(int error) {
  complain(std::strerror(error));
  workers_.at(0).arm(retry_, kPause);
}

void Acceptor::complain(std::string_view why) {
  const Instant now = workers_.at(0).now();
  if (logged_ == Instant{} || now - logged_ >= kLogEvery) {
    logged_ = now;
    log_error("http.accept_failed", {{"why", why}});
  }
}

}  // namespace tidemark::http
