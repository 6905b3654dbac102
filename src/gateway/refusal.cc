#include "gateway/refusal.h"

#include <boost/asio/buffer.hpp>

namespace tidemark::gateway {
namespace {

constexpr auto kLinger = std::chrono::seconds(2);

}  // namespace

Refusal::Refusal(Worker& worker, boost::asio::ip::tcp::socket socket, std::string response)
    : worker_(worker),
      socket_(std::move(socket)),
      response_(std::move(response)),
      timer_([](void* context) { static_cast<Refusal*>(context)->end(); }, this) {}

void Refusal::start() {
  keep_ = shared_from_this();
  worker_.arm(timer_, kLinger);
  boost::system::error_code error;
  socket_.non_blocking(true, error);
  // The answer is far smaller than an empty send buffer.
  socket_.send(boost::asio::buffer(response_), 0, error);
  socket_.shutdown(boost::asio::ip::tcp::socket::shutdown_send, error);
  discard();
}

void Refusal::discard() {
  socket_.async_wait(
      boost::asio::ip::tcp::socket::wait_read, [self = shared_from_this()](const boost::system::error_code& error) {
        if (error || !self->keep_) {
          return;
        }
        const std::span<char> buffer = self->worker_.read_buffer();
        boost::system::error_code failed;
        const size_t count = self->socket_.receive(boost::asio::buffer(buffer.data(), buffer.size()), 0, failed);
        if (failed == boost::asio::error::would_block || (!failed && count > 0)) {
          self->discard();
        } else {
          self->end();
        }
      });
}

void Refusal::end() {
  worker_.cancel(timer_);
  boost::system::error_code ignored;
  socket_.close(ignored);
  const auto last = std::move(keep_);
}

}  // namespace tidemark::gateway
