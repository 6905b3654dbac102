#include "http/acceptor.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/ip/v6_only.hpp>
#include <cstring>

#include "core/log.h"

namespace tidemark::http {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;

constexpr int kBacklog = 4096;
constexpr int kAcceptsPerWake = 64;  // then other sockets of the worker have their turn
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

}  // namespace

Acceptor::Acceptor(WorkerPool& workers, Accepted accepted)
    : workers_(workers),
      accepted_(std::move(accepted)),
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
  step([&] { acceptor_.listen(kBacklog, error); });
  step([&] { acceptor_.non_blocking(true, error); });
  if (error) {
    error_code ignored;
    acceptor_.close(ignored);
    return fail(Code::unavailable, "cannot listen on " + host + ":" + std::to_string(port) + ": " + error.message());
  }
  port_ = acceptor_.local_endpoint(error).port();
  workers_.at(0).post([this] { wait(); });
  return {};
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
      hand_over(descriptor, peer);
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

void Acceptor::hand_over(int descriptor, const Endpoint& peer) {
  Worker& worker = workers_.at(next_worker_);
  next_worker_ = (next_worker_ + 1) % workers_.size();
  worker.post([this, &worker, owned = Descriptor(descriptor), peer]() mutable {
    const int one = 1;
    ::setsockopt(owned.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    Socket socket(worker.io());
    error_code error;
    socket.assign(peer.protocol(), owned.get(), error);
    if (error) {
      return;
    }
    owned.release();
    socket.non_blocking(true, error);
    if (!error) {
      accepted_(worker, std::move(socket), peer);
    }
  });
}

void Acceptor::pause(int error) {
  Worker& worker = workers_.at(0);
  if (logged_ == Instant{} || worker.now() - logged_ >= kLogEvery) {
    logged_ = worker.now();
    log_error("http.accept_failed", {{"why", std::strerror(error)}});
  }
  worker.arm(retry_, kPause);
}

}  // namespace tidemark::http
