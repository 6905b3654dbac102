#include "gateway/refusal.h"

namespace tidemark::gateway {
namespace {

constexpr auto kLinger = std::chrono::seconds(2);

}  // namespace

Refusal::Refusal(Worker& worker, StreamSocket socket, std::string response)
    : worker_(worker),
      socket_(std::move(socket)),
      response_(std::move(response)),
      timer_([](void* context) { static_cast<Refusal*>(context)->end(); }, this) {}

Refusal::~Refusal() { worker_.forget_flush(*this); }

void Refusal::start() {
  keep_ = shared_from_this();
  worker_.arm(timer_, kLinger);
  worker_.flush_later(*this);
}

void Refusal::flush() {
  const auto self = std::move(keep_);
  // The answer is far smaller than an empty send buffer.
  socket_.write_some(response_);
  socket_.shutdown();
  discard();
}

void Refusal::discard() {
  socket_.wait_readable([self = shared_from_this()](const boost::system::error_code& error) {
    if (error || self->ended_) {
      return;
    }
    switch (self->socket_.read_some(self->worker_.read_buffer()).outcome) {
      case StreamSocket::Outcome::moved:
      case StreamSocket::Outcome::again: return self->discard();
      default: return self->end();
    }
  });
}

void Refusal::end() {
  worker_.cancel(timer_);
  socket_.close();
  ended_ = true;
}

}  // namespace tidemark::gateway
