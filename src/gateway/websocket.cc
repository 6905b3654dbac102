#include "gateway/websocket.h"

#include <sys/uio.h>

#include <algorithm>
#include <utility>

namespace tidemark::gateway {
namespace {

constexpr size_t kGatherFrames = 256;            // frames in one write
constexpr size_t kReadBytes = 128 * 1024;        // one read; a fast sender has to take turns with others
constexpr size_t kFramesUnheard = 16 * 1024;       // queued frames (a pong has two bytes) beyond which nothing is read
constexpr size_t kFlushBytesPerTurn = 256 * 1024;  // then others have their turn

}  // namespace

WebSocket::WebSocket(Worker& worker, StreamSocket socket, const FrameLimits& limits)
    : worker_(worker),
      socket_(std::move(socket)),
      decoder_(limits, Side::server),
      last_received_(worker.now()),
      last_progress_(worker.now()) {}

WebSocket::~WebSocket() { worker_.forget_flush(*this); }

void WebSocket::send_raw(std::string_view bytes) { send(stream::Frame::wire_bytes(bytes)); }

void WebSocket::send(const stream::Frame& frame) {
  if (state_ != State::open) {
    return;
  }
  if (queued_bytes_ == 0) {
    last_progress_ = worker_.now();
  }
  queue_.push_back(deflate_ ? frame.compressed() : frame);
  const size_t size = queue_.back().size();
  queued_bytes_ += size;
  ++traffic_.frames_out;
  worker_.count_output(static_cast<ptrdiff_t>(size));
  if (!writing_) {
    worker_.flush_later(*this);
  }
}

void WebSocket::ping(std::string_view payload) { send_raw(encode_frame(Opcode::ping, payload)); }

void WebSocket::on_ping(std::string_view payload) { send_raw(encode_frame(Opcode::pong, payload)); }

void WebSocket::start(std::string early) {
  if (!early.empty()) {
    unread_ = std::make_unique<std::string>(std::move(early));
  }
  pause(Hold::owner);
  resume(Hold::owner);
}

void WebSocket::resume(Hold why) {
  if ((held_ & static_cast<uint8_t>(why)) == 0) {
    return;
  }
  held_ = static_cast<uint8_t>(held_ & ~static_cast<uint8_t>(why));
  if (held_ != 0 || taking_) {
    return;
  }
  if (unread_) {
    const std::unique_ptr<std::string> bytes = std::move(unread_);
    take({bytes->data(), bytes->size()});
  }
  if (held_ == 0) {
    wait_readable();
  }
}

void WebSocket::wait_readable() {
  if (reading_ || state_ == State::gone) {
    return;
  }
  reading_ = true;
  socket_.wait_readable([self = shared_from_this()](const boost::system::error_code& error) {
    self->reading_ = false;
    if (!error) {
      self->read_some();
    }
  });
}

void WebSocket::read_some() {
  if (state_ == State::gone || (held_ != 0 && state_ == State::open)) {
    return;
  }
  const std::span<char> buffer = worker_.read_buffer();
  const StreamSocket::Moved got = socket_.read_some(buffer.first(std::min(buffer.size(), kReadBytes)));
  if (got.outcome == StreamSocket::Outcome::again) {
    wait_readable();
    return;
  }
  if (got.outcome != StreamSocket::Outcome::moved) {
    lost();
    return;
  }
  last_received_ = worker_.now();
  traffic_.bytes_in += got.bytes;
  if (state_ == State::lingering) {
    wait_readable();  // read and thrown away, so that the peer's bytes do not reset the connection
    return;
  }
  take(buffer.first(got.bytes));
  if (held_ == 0 || state_ != State::open) {
    wait_readable();
  }
}

void WebSocket::take(std::span<char> input) {
  taking_ = true;
  while (state_ == State::open || state_ == State::closing) {
    if (held_ != 0 && state_ == State::open) {
      if (!input.empty()) {
        unread_ = std::make_unique<std::string>(input.data(), input.size());
      }
      break;
    }
    const Decoded decoded = decoder_.next(input);
    if (decoded.kind == Decoded::Kind::need_more) {
      break;
    }
    ++traffic_.frames_in;
    handle(decoded);
    if (decoded.kind == Decoded::Kind::violation) {
      break;  // the decoder would say it again and again; what follows means nothing
    }
    // Pings and questions without reading would let the queue grow for as long as the peer likes.
    if (queued_bytes_ > queue_bytes_max() || queue_.size() > kFramesUnheard) {
      pause(Hold::queue);
    }
  }
  taking_ = false;
}

void WebSocket::handle(const Decoded& decoded) {
  switch (decoded.kind) {
    case Decoded::Kind::text:
    case Decoded::Kind::binary:
      if (state_ == State::open) {
        on_message(decoded.payload, decoded.kind == Decoded::Kind::binary);
      }
      return;
    case Decoded::Kind::ping:
      if (state_ == State::open) {
        on_ping(decoded.payload);
      }
      return;
    case Decoded::Kind::pong:
      if (state_ == State::open) {
        on_pong(decoded.payload);
      }
      return;
    case Decoded::Kind::close:
      if (state_ == State::open) {
        close(decoded.code);  // the same code back (RFC 6455, 5.5.1)
      }
      return;
    case Decoded::Kind::violation:
      if (state_ == State::open) {
        close(decoded.code, decoded.why);
      }
      return;
    case Decoded::Kind::need_more: return;
  }
}

void WebSocket::close(CloseCode code, std::string_view reason) {
  if (state_ != State::open) {
    return;
  }
  send_raw(encode_close(code, reason));
  state_ = State::closing;
  arm_linger();
  unread_.reset();
  report(code);
  held_ = 0;
  wait_readable();
}

void WebSocket::arm_linger() {
  if (linger_timer_ == nullptr) {
    linger_timer_ = std::make_unique<Timer>([](void* context) { static_cast<WebSocket*>(context)->end(); }, this);
  }
  worker_.arm(*linger_timer_, kLinger);
}

void WebSocket::abort() {
  report(CloseCode::abnormal);
  end();
}

void WebSocket::lost() {
  report(CloseCode::abnormal);
  end();
}

void WebSocket::report(CloseCode code) {
  if (!reported_) {
    reported_ = true;
    on_closed(code);
  }
}

void WebSocket::begin_linger() {
  if (!socket_.shutdown()) {
    wait_writable();  // then flush() comes here again
    return;
  }
  state_ = State::lingering;
  arm_linger();
  wait_readable();
}

void WebSocket::end() {
  if (state_ == State::gone) {
    return;
  }
  state_ = State::gone;
  if (linger_timer_ != nullptr) {
    worker_.cancel(*linger_timer_);
  }
  worker_.forget_flush(*this);
  socket_.close();
  queue_.clear();
  queue_head_ = 0;
  worker_.count_output(-static_cast<ptrdiff_t>(queued_bytes_));
  queued_bytes_ = 0;
}

void WebSocket::flush() {
  if (state_ == State::gone || state_ == State::lingering || writing_) {
    return;
  }
  size_t written_now = 0;
  while (queue_head_ < queue_.size()) {
    iovec parts[kGatherFrames];
    size_t count = 0;
    size_t bytes = 0;
    for (size_t i = queue_head_; i < queue_.size() && count < kGatherFrames; ++i, ++count) {
      std::string_view wire = queue_[i].wire();
      if (count == 0) {
        wire.remove_prefix(frame_offset_);
      }
      parts[count] = {const_cast<char*>(wire.data()), wire.size()};
      bytes += wire.size();
    }
    const StreamSocket::Moved written = socket_.write_some({parts, count});
    if (written.outcome != StreamSocket::Outcome::moved && written.outcome != StreamSocket::Outcome::again) {
      const auto keep = shared_from_this();
      lost();
      return;
    }
    if (written.bytes > 0) {
      last_progress_ = worker_.now();
      traffic_.bytes_out += written.bytes;
      size_t left = written.bytes;
      queued_bytes_ -= left;
      worker_.count_output(-static_cast<ptrdiff_t>(left));
      written_now += left;
      while (left > 0) {
        const size_t rest = queue_[queue_head_].size() - frame_offset_;
        if (left < rest) {
          frame_offset_ += static_cast<uint32_t>(left);
          break;
        }
        left -= rest;
        queue_[queue_head_] = stream::Frame();
        ++queue_head_;
        frame_offset_ = 0;
      }
    }
    if (written.bytes < bytes) {
      wait_writable();
      return;
    }
    if (written_now >= kFlushBytesPerTurn && queue_head_ < queue_.size()) {
      wait_writable();
      return;
    }
  }
  release_memory();
  if (state_ == State::closing) {
    begin_linger();
  } else if (state_ == State::open) {
    if (std::exchange(drained_asked_, false)) {
      on_drained();
    }
    if (is_held(Hold::queue)) {
      const auto keep = shared_from_this();
      resume(Hold::queue);
    }
  }
}

void WebSocket::release_memory() {
  queue_head_ = 0;
  queue_.clear();
  if (queue_.capacity() > 1) {
    // shrink_to_fit() would give up the place inside the object for good: every later frame would cost an allocation.
    std::destroy_at(&queue_);
    std::construct_at(&queue_);
  }
}

void WebSocket::wait_writable() {
  writing_ = true;
  // The written part of a long queue is not kept.
  queue_.erase(queue_.begin(), queue_.begin() + queue_head_);
  queue_head_ = 0;
  socket_.wait_writable([self = shared_from_this()](const boost::system::error_code& error) {
    self->writing_ = false;
    if (error || self->state_ == State::gone) {
      return;
    }
    self->flush();
  });
  if (state_ == State::open) {
    on_blocked();
  }
}

}  // namespace tidemark::gateway
