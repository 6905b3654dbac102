// WebSocket: one open WebSocket on its socket: bytes in, messages out, frames queued and written together.
//
// Owner: its worker. Kept alive by whoever holds it and by its pending waits; after closed() it only lingers until the
// peer has read the close code, at most kLinger.
// Promises: frames go out in the order they were queued; all that is queued in a turn goes out with one gather write at
// its end; every violation of RFC 6455 is answered with its close code; on_closed() is called exactly once.
// Reads readiness style into the worker's shared buffer, so that an idle connection holds no buffer.
#pragma once

#include <boost/container/small_vector.hpp>
#include <memory>
#include <string>
#include <vector>

#include "core/error_table.h"
#include "core/stream_socket.h"
#include "core/worker.h"
#include "gateway/frame_codec.h"
#include "stream/frame.h"

namespace tidemark::gateway {

class WebSocket : public std::enable_shared_from_this<WebSocket>, public Flushable {
 public:
  WebSocket(Worker& worker, StreamSocket socket, const FrameLimits& limits);
  ~WebSocket() override;
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;

  Worker& worker() { return worker_; }

  // Queues bytes that precede every frame (the 101 response).
  void send_raw(std::string_view bytes);
  void send(const stream::Frame& frame);
  void ping(std::string_view payload);
  // Bytes that wait in the queue.
  size_t queued_bytes() const { return queued_bytes_; }
  // When the socket last took some of a queue that is not empty.
  Instant last_progress() const { return last_progress_; }
  Instant last_received() const { return last_received_; }
  // What went over it since it was opened: frames of any kind, and bytes as they are on the wire.
  struct Traffic {
    uint64_t bytes_in = 0;
    uint64_t bytes_out = 0;
    uint64_t frames_in = 0;
    uint64_t frames_out = 0;
  };
  const Traffic& traffic() const { return traffic_; }

  // Messages are compressed from now on, and may be from the client (permessage-deflate).
  void enable_deflate() {
    deflate_ = true;
    decoder_.allow_deflate();
  }

  // Starts to read; `early` are bytes that came behind the handshake.
  void start(std::string early);
  // Why nothing is read from the socket and no message is handed out, until no reason is left.
  enum class Hold : uint8_t {
    owner = 1,     // its owner is not ready
    commands = 2,  // as many commands are unanswered as may be
    drain = 4,
    queue = 8,     // who does not take answers is not listened to: set and ended here
  };
  void pause(Hold why) { held_ = static_cast<uint8_t>(held_ | static_cast<uint8_t>(why)); }
  void resume(Hold why);
  bool is_held(Hold why) const { return (held_ & static_cast<uint8_t>(why)) != 0; }

  // Queues a close frame; what was queued before still goes out. Messages that come after are not handed out.
  void close(CloseCode code, std::string_view reason = {});
  // Sends nothing more.
  void abort();
  bool open() const { return state_ == State::open; }

  void flush() final;

 protected:
  // `payload` is valid during the call.
  virtual void on_message(std::string_view payload, bool binary) = 0;
  virtual void on_ping(std::string_view payload);  // answers with a pong
  virtual void on_pong(std::string_view payload) { (void)payload; }
  // Bytes in the queue beyond which nothing is read.
  virtual size_t queue_bytes_max() const { return SIZE_MAX; }
  // Everything that was queued has been written; called once after each ask_drained().
  virtual void on_drained() {}
  void ask_drained() { drained_asked_ = true; }
  virtual void on_blocked() {}  // the socket takes no more for now
  // The connection is over: the peer's code, ours, or abnormal when it was lost.
  virtual void on_closed(CloseCode code) = 0;

 private:
  enum class State : uint8_t { open, closing, lingering, gone };
  static constexpr auto kLinger = std::chrono::seconds(2);

  void wait_readable();
  void wait_writable();
  void read_some();
  void take(std::span<char> input);
  void handle(const Decoded& decoded);
  void lost();
  void begin_linger();
  void end();
  void report(CloseCode code);
  void release_memory();
  void arm_linger();

  Worker& worker_;
  StreamSocket socket_;
  FrameDecoder decoder_;
  boost::container::small_vector<stream::Frame, 1> queue_;
  std::unique_ptr<std::string> unread_;  // bytes that were read and wait for resume()
  size_t queued_bytes_ = 0;
  uint32_t queue_head_ = 0;    // first frame that is not wholly written
  uint32_t frame_offset_ = 0;  // bytes of it that are
  Instant last_received_;
  Instant last_progress_;
  Traffic traffic_;
  std::unique_ptr<Timer> linger_timer_;  // only while it closes
  State state_ = State::open;
  bool reading_ = false;  // a wait for readability is pending
  bool writing_ = false;  // a wait for writability is pending
  uint8_t held_ = 0;      // reasons of Hold
  bool reported_ = false;
  bool taking_ = false;
  bool deflate_ = false;
  bool drained_asked_ = false;
};

}  // namespace tidemark::gateway
