#include "bus/redis_link.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>

#include "bus/redis_command.h"
#include "core/address.h"

namespace tidemark::bus {
namespace {

using Outcome = StreamSocket::Outcome;

constexpr int kReadsPerWake = 4;            // then the worker's other sockets have their turn
constexpr size_t kOutputKept = 256 * 1024;  // capacity, when nothing waits

}  // namespace

std::shared_ptr<RedisLink> RedisLink::open(Worker& worker, std::shared_ptr<const RedisTarget> target, HostPort server,
                                           Peer peer, Events events) {
  std::shared_ptr<RedisLink> link(new RedisLink(worker, std::move(target), std::move(server), peer, std::move(events)));
  worker.arm(link->deadline_, link->target_->options.timeout);
  link->resolve();
  return link;
}

RedisLink::RedisLink(Worker& worker, std::shared_ptr<const RedisTarget> target, HostPort server, Peer peer,
                     Events events)
    : worker_(worker),
      target_(std::move(target)),
      server_(std::move(server)),
      peer_(peer),
      events_(std::move(events)),
      deadline_([](void* self) { static_cast<RedisLink*>(self)->too_late(); }, this),
      resolver_(worker.io()) {
  worker_.assert_owner();
}

RedisLink::~RedisLink() { worker_.forget_flush(*this); }

void RedisLink::resolve() {
  if (const auto address = parse_address(server_.host)) {
    endpoints_.emplace_back(*address, server_.port);
    connect_next();
    return;
  }
  resolver_.async_resolve(
      server_.host, std::to_string(server_.port),
      while_open([](RedisLink& self, const boost::system::error_code& error, const Tcp::resolver::results_type& found) {
        if (error) {
          self.lose("the host's name cannot be looked up: " + error.message());
          return;
        }
        for (const auto& entry : found) {
          self.endpoints_.push_back(entry.endpoint());
        }
        self.connect_next();
      }));
}

void RedisLink::connect_next() {
  if (next_endpoint_ == endpoints_.size()) {
    lose("cannot connect: " + connect_error_);
    return;
  }
  connecting_.emplace(worker_.io());
  connecting_->async_connect(
      endpoints_[next_endpoint_++],
      while_open([](RedisLink& self, const boost::system::error_code& error) { self.connected(error); }));
}

void RedisLink::connected(const boost::system::error_code& error) {
  boost::system::error_code failed = error;
  if (!failed) {
    connecting_->non_blocking(true, failed);
  }
  if (failed) {
    connect_error_ = failed.message();
    connect_next();
    return;
  }
  boost::system::error_code ignored;
  connecting_->set_option(Tcp::no_delay(true), ignored);
  if (target_->tls != nullptr) {
    socket_.emplace(std::move(*connecting_), *target_->tls, server_.host);
  } else {
    socket_.emplace(std::move(*connecting_));
  }
  connecting_.reset();
  greet();
  socket_->wait_readable(while_open([](RedisLink& self, const boost::system::error_code&) { self.read(); }));
}

// The last one is answered with an error where a password is missing, the data is not loaded yet, or the server is no
// master any more.
void RedisLink::greet() {
  const RedisOptions& options = target_->options;
  std::string commands;
  const auto add = [&](const Command& command, std::string_view name) {
    commands += command.bytes();
    greetings_.push_back(name);
  };
  if (peer_ != Peer::sentinel) {
    if (!options.user.empty()) {
      add(Command("AUTH", options.user, options.password.reveal()), "AUTH");
    } else if (!options.password.empty()) {
      add(Command("AUTH", options.password.reveal()), "AUTH");
    }
    if (options.database != 0) {
      add(Command("SELECT", options.database), "SELECT");
    }
  }
  if (peer_ == Peer::master) {
    add(Command("ROLE"), "ROLE");
  } else {
    add(Command("PING"), "PING");
  }
  send(commands);
}

bool RedisLink::send(std::string_view commands) {
  if (closed_ || output_.size() - written_ + commands.size() > kOutputBytesMax) {
    return false;
  }
  output_ += commands;
  if (!waits_for_room_) {
    worker_.flush_later(*this);
  }
  return true;
}

void RedisLink::flush() {
  const auto self = shared_from_this();  // lose() may let go of the last reference
  while (!closed_ && socket_ && written_ < output_.size()) {
    const StreamSocket::Moved moved = socket_->write_some(std::string_view(output_).substr(written_));
    if (moved.outcome == Outcome::again) {
      waits_for_room_ = true;
      socket_->wait_writable(while_open([](RedisLink& link, const boost::system::error_code&) {
        link.waits_for_room_ = false;
        link.flush();
      }));
      break;
    }
    if (moved.outcome != Outcome::moved) {
      lose(failure());
      return;
    }
    written_ += moved.bytes;
  }
  if (written_ == output_.size()) {
    output_.clear();
    written_ = 0;
    if (output_.capacity() > kOutputKept) {
      std::string().swap(output_);
    }
  } else if (written_ > output_.size() / 2) {
    output_.erase(0, written_);
    written_ = 0;
  }
}

void RedisLink::read() {
  for (int i = 0; i < kReadsPerWake; ++i) {
    const std::span<char> buffer = worker_.read_buffer();
    const StreamSocket::Moved moved = socket_->read_some(buffer);
    if (moved.outcome == Outcome::again) {
      break;
    }
    if (moved.outcome != Outcome::moved) {
      lose(moved.outcome == Outcome::ended ? "Redis closed the connection" : failure());
      return;
    }
    if (!take({buffer.data(), moved.bytes})) {
      return;
    }
    if (moved.bytes < buffer.size()) {
      break;
    }
  }
  socket_->wait_readable(while_open([](RedisLink& self, const boost::system::error_code&) { self.read(); }));
}

// False: it is closed.
bool RedisLink::take(std::string_view bytes) {
  heard_at_ = worker_.now();
  const Status status = reader_.read(bytes, [this](Reply reply) {
    if (up_) {
      events_.reply(std::move(reply));
    } else {
      take_greeting(reply);
    }
    return !closed_;
  });
  if (!closed_ && !status.ok()) {
    lose(status.error().text);
  }
  return !closed_;
}

void RedisLink::take_greeting(const Reply& reply) {
  const std::string_view command = greetings_[greeted_++];
  if (reply.is(Reply::Kind::error)) {
    // Only the code: a server that is none may repeat in its text what it was sent.
    const std::string code = reply.text.substr(0, std::min<size_t>(reply.text.find(' '), 32));
    lose("Redis refuses " + std::string(command) + " (" + code + ")" +
         (code == "WRONGPASS" || code == "NOAUTH" ? ": look at user and password in redis.url" : ""));
    return;
  }
  if (command == "ROLE" && (reply.elements.empty() || reply.elements[0].text != "master")) {
    lose("it is no master");
    return;
  }
  if (greeted_ < greetings_.size()) {
    return;
  }
  up_ = true;
  worker_.cancel(deadline_);
  events_.up();
}

std::string RedisLink::failure() const {
  const std::string_view why = socket_->is_tls() ? tls_failure() : std::string_view();
  return why.empty() ? "the connection broke" : "TLS failed: " + std::string(why);
}

void RedisLink::too_late() { lose("no connection within " + std::to_string(target_->options.timeout.count()) + " ms"); }

void RedisLink::lose(std::string why) {
  if (closed_) {
    return;
  }
  const auto self = shared_from_this();
  close();
  events_.lost(fail(Code::unavailable, std::move(why)));
}

void RedisLink::close() {
  closed_ = true;
  worker_.cancel(deadline_);
  worker_.forget_flush(*this);
  resolver_.cancel();
  boost::system::error_code ignored;
  if (connecting_) {
    connecting_->close(ignored);
  }
  if (socket_) {
    socket_->close();
  }
}

}  // namespace tidemark::bus
