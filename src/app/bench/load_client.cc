#include "app/bench/load_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace tidemark::app {
namespace {

using gateway::Decoded;
using gateway::Opcode;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr size_t kReadBytes = 256 * 1024;
constexpr size_t kPortsPerAddress = 20'000;  // of the 28,232 that Linux gives out by default
constexpr milliseconds kTurnMax{100};
constexpr seconds kOpenPatience{20};
constexpr milliseconds kReturnMin{50};  // to a server that had no room
constexpr uint64_t kReturnSpreadMs = 200;
constexpr seconds kClosePatience{2};
constexpr gateway::FrameLimits kLimits{.message_bytes = 64 * 1024 * 1024, .fragments = 65'536, .allow_binary = false};

std::string system_text(const char* what) { return std::string(what) + ": " + std::strerror(errno); }

}  // namespace

LoadClient::LoadClient(const Target& target, LoadHandler& handler)
    : target_(target),
      handler_(handler),
      random_(SystemRandom().next()),
      handshake_(target, random_),
      read_buffer_(kReadBytes),
      failure_(poller_.status()) {}

LoadClient::~LoadClient() {
  for (size_t i = 0; i < connections_.size(); ++i) {
    drop(i);
  }
}

Status LoadClient::open(size_t count, const LoginOf& login_of, const Opening& opening) {
  opening_ = opening;
  connections_.reserve(count);
  Instant last_progress = clock_.now();
  while (ready_ < count && failure_.ok()) {
    while (connections_.size() < count && connections_.size() - ready_ < opening_.handshakes_at_once && failure_.ok()) {
      const size_t number = connections_.size();
      connections_.push_back(Connection{.decoder = gateway::FrameDecoder(kLimits, gateway::Side::client)});
      if (Status started = start(number, login_of(number)); !started) {
        fail_with(started.error());
      }
    }
    start_again(login_of);
    const size_t ready_before = ready_;
    turn(kTurnMax);
    if (ready_ != ready_before) {
      last_progress = clock_.now();
    } else if (clock_.now() - last_progress > kOpenPatience) {
      fail_with(fail(Code::unavailable, std::to_string(ready_) + " of " + std::to_string(count) +
                                            " connections were opened, then nothing for 20 s"));
    }
  }
  return failure_;
}

// A server that has no room now has it a little later; its clients come at different times.
void LoadClient::come_back(size_t number) {
  ++refusals_;
  drop(number);
  returning_.push_back({clock_.now() + kReturnMin + milliseconds(random_.below(kReturnSpreadMs)), number});
}

void LoadClient::start_again(const LoginOf& login_of) {
  const Instant now = clock_.now();
  std::erase_if(returning_, [&](const Returning& one) {
    if (one.when > now) {
      return false;
    }
    Connection& connection = connections_[one.number];
    connection.head.clear();
    if (Status started = start(one.number, login_of(one.number)); !started) {
      fail_with(started.error());
    }
    return true;
  });
}

Status LoadClient::start(size_t number, const Login& login) {
  Connection& connection = connections_[number];
  connection.socket = ::socket(target_.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (connection.socket < 0) {
    return fail(Code::unavailable, system_text("socket"));
  }
  ++live_;
  const int on = 1;
  setsockopt(connection.socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (opening_.several_addresses) {
    sockaddr_in local{};
    local.sin_family = AF_INET;
    local.sin_addr.s_addr = htonl(INADDR_LOOPBACK + static_cast<uint32_t>(login.address_number / kPortsPerAddress));
    // The port is chosen at connect(), where only the whole four-tuple has to be unique.
    setsockopt(connection.socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (::bind(connection.socket, reinterpret_cast<const sockaddr*>(&local), sizeof local) != 0) {
      return fail(Code::unavailable, system_text("bind"));
    }
  }
  if (::connect(connection.socket, reinterpret_cast<const sockaddr*>(&target_.address), target_.address_size) != 0 &&
      errno != EINPROGRESS) {
    return fail(Code::unavailable, system_text(("connect to " + target_.authority).c_str()));
  }
  if (target_.tls != nullptr) {
    connection.tls = std::make_unique<LoadTls>(*target_.tls, target_.host, connection.socket);
  }
  connection.stage = Stage::handshake;
  connection.out = handshake_.request(login.token, login.device, login.replay);
  connection.blocked = true;
  return poller_.add(connection.socket, number, EPOLLIN | EPOLLOUT);
}

void LoadClient::turn(milliseconds longest) {
  for (const Poller::Ready& ready : poller_.wait(longest)) {
    if ((ready.events & EPOLLOUT) != 0) {
      flush(ready.number);
    }
    if ((ready.events & ~static_cast<uint32_t>(EPOLLOUT)) != 0) {
      on_readable(ready.number);
    }
  }
  handler_.on_turn();
  for (const size_t number : dirty_) {
    connections_[number].dirty = false;
    if (!connections_[number].blocked) {
      flush(number);
    }
  }
  dirty_.clear();
}

Status LoadClient::run() {
  stopped_ = false;
  while (!stopped_ && failure_.ok()) {
    turn(kTurnMax);
  }
  return failure_;
}

void LoadClient::close() {
  for (size_t i = 0; i < connections_.size(); ++i) {
    if (connections_[i].stage == Stage::open) {
      queue_frame(i, Opcode::close, std::string_view("\x03\xe8", 2));  // 1000
      connections_[i].stage = Stage::closing;
    } else {
      drop(i);
    }
  }
  const Instant end = clock_.now() + kClosePatience;
  while (live_ > 0 && clock_.now() < end) {
    turn(kTurnMax);
  }
}

void LoadClient::on_readable(size_t number) {
  Connection& connection = connections_[number];
  if (connection.socket < 0) {
    return;
  }
  const ssize_t size = receive(connection);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
    if (connection.tls != nullptr && !connection.blocked) {
      flush(number);  // the handshake has come to its end, and the request waits for that
    }
    return;
  }
  if (size <= 0) {
    on_peer_closed(number, size == 0 ? "closed the connection" : why(connection));
    return;
  }
  const std::span<char> bytes(read_buffer_.data(), static_cast<size_t>(size));
  if (connection.stage == Stage::handshake) {
    on_handshake_bytes(number, bytes);
  } else {
    on_frames(number, bytes, clock_.now());
  }
}

void LoadClient::on_handshake_bytes(size_t number, std::span<char> bytes) {
  Connection& connection = connections_[number];
  connection.head.append(bytes.data(), bytes.size());
  const Result<LoadHandshake::Answer> answer = handshake_.read_answer(connection.head);
  if (!answer) {
    fail_with(answer.error());
    return;
  }
  if (answer->retry) {
    come_back(number);
  } else if (answer->size > 0) {
    connection.stage = Stage::welcome;
    if (target_.dialect == Dialect::raw) {
      connection.stage = Stage::open;
      ++ready_;
      last_welcome_ = clock_.now();
    }
    std::string head = std::exchange(connection.head, {});
    on_frames(number, std::span(head).subspan(answer->size), clock_.now());
  }
}

void LoadClient::on_frames(size_t number, std::span<char> bytes, Instant received) {
  Connection& connection = connections_[number];
  while (!bytes.empty()) {
    const Decoded frame = connection.decoder.next(bytes);
    switch (frame.kind) {
      case Decoded::Kind::text:
        if (connection.stage == Stage::open) [[likely]] {
          handler_.on_text(number, frame.payload, received);
        } else if (connection.stage < Stage::open) {
          on_early_text(number, frame.payload, received);
        }
        break;
      case Decoded::Kind::ping: queue_frame(number, Opcode::pong, frame.payload); break;
      case Decoded::Kind::close:
        if (connection.stage == Stage::closing) {
          return;  // the server closes the socket too, and keeps the waiting time of its port
        }
        on_peer_closed(number, "closed the connection with code " + std::to_string(static_cast<int>(frame.code)) + " " +
                                   std::string(frame.payload));
        return;
      case Decoded::Kind::binary:
      case Decoded::Kind::violation:
        on_peer_closed(number, "broke the WebSocket protocol: " + std::string(frame.why));
        return;
      case Decoded::Kind::need_more:
      case Decoded::Kind::pong: break;
    }
  }
}

void LoadClient::on_early_text(size_t number, std::string_view text, Instant received) {
  const Result<Incoming> frame = reader_.read(text);
  Stage& stage = connections_[number].stage;
  if (!frame) {
    fail_with(frame.error());
  } else if (stage == Stage::welcome) {
    if (frame->type != "welcome") {
      fail_with(fail(Code::unavailable, "the server began with " + std::string(text) + " and not with a welcome"));
      return;
    }
    stage = Stage::replay;
    last_welcome_ = received;
  } else if (frame->type == "synced") {
    stage = Stage::open;
    ++ready_;
    handler_.on_synced(number, received);
  } else {
    handler_.on_replayed(number, text, received);
  }
}

void LoadClient::on_peer_closed(size_t number, const std::string& why) {
  if (connections_[number].stage != Stage::closing) {
    fail_with(fail(Code::unavailable, "connection " + std::to_string(number) + ": the server " + why));
  }
  drop(number);
}

void LoadClient::send(size_t connection, std::string_view text) { queue_frame(connection, Opcode::text, text); }

void LoadClient::queue_frame(size_t number, Opcode opcode, std::string_view payload) {
  Connection& connection = connections_[number];
  gateway::append_masked_frame(connection.out, opcode, payload, static_cast<uint32_t>(random_.next()));
  if (!connection.dirty) {
    connection.dirty = true;
    dirty_.push_back(number);
  }
}

ssize_t LoadClient::receive(Connection& connection) {
  return connection.tls != nullptr ? connection.tls->read(read_buffer_)
                                   : ::recv(connection.socket, read_buffer_.data(), read_buffer_.size(), 0);
}

std::string LoadClient::why(const Connection& connection) {
  return errno == EPROTO && connection.tls != nullptr ? connection.tls->failure() : std::strerror(errno);
}

void LoadClient::flush(size_t number) {
  Connection& connection = connections_[number];
  if (connection.socket < 0 || connection.out.empty()) {
    return;
  }
  const ssize_t sent = connection.tls != nullptr
                           ? connection.tls->write(connection.out)
                           : ::send(connection.socket, connection.out.data(), connection.out.size(), MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) {
    on_peer_closed(number, "could not be written to: " + why(connection));
    return;
  }
  connection.out.erase(0, static_cast<size_t>(std::max<ssize_t>(sent, 0)));
  const bool blocked = !connection.out.empty() && (connection.tls == nullptr || connection.tls->wants_write());
  if (connection.blocked != blocked) {
    connection.blocked = blocked;
    const uint32_t events = EPOLLIN | (blocked ? EPOLLOUT : 0U);
    if (Status changed = poller_.change(connection.socket, number, events); !changed) {
      fail_with(changed.error());
    }
  }
}

void LoadClient::drop(size_t number) {
  Connection& connection = connections_[number];
  if (connection.socket >= 0) {
    ::close(connection.socket);
    connection.socket = -1;
    connection.tls.reset();
    connection.stage = Stage::closed;
    --live_;
  }
}

void LoadClient::fail_with(Error error) {
  if (failure_.ok()) {
    failure_ = std::move(error);
  }
}

}  // namespace tidemark::app
