// Many WebSocket connections on one thread: the engine of the load generator.
//
// A raw epoll loop, because it has to be cheaper than the server it measures: one read buffer for all connections, one
// read for each readiness, one gathered write for each connection and turn.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/bench/load_handshake.h"
#include "app/bench/load_tls.h"
#include "app/bench/message_source.h"
#include "app/bench/poller.h"
#include "app/bench/target.h"
#include "core/clock.h"
#include "core/random.h"
#include "core/result.h"
#include "gateway/frame_codec.h"

namespace tidemark::app {

// What a scenario does with its connections. Called on the thread of the LoadClient, from within open() and run().
class LoadHandler {
 public:
  virtual ~LoadHandler() = default;
  // A text frame of an open connection; `received` is when the read that brought it returned.
  virtual void on_text(size_t connection, std::string_view payload, Instant received) = 0;
  // The same before its `synced`, and the `synced` itself.
  virtual void on_replayed(size_t, std::string_view, Instant) {}
  virtual void on_synced(size_t, Instant) {}
  // After all that was ready has been read and before anything is written; at least every 100 ms.
  virtual void on_turn() {}
};

// Owner: one thread at a time; only wake() may be called from others. Sockets are closed with the object.
//
// Answers pings. A connection that the server closes, a `bye` or a broken frame is a failure and ends run(): in a
// measurement nothing of the kind may happen.
class LoadClient {
 public:
  struct Login {
    std::string token;
    std::string device;
    size_t address_number = 0;  // of the connection among those of all threads: chooses the local address
    bool replay = false;        // what the device has not confirmed comes first
  };
  using LoginOf = std::function<Login(size_t connection)>;
  struct Opening {
    bool several_addresses = false;  // connect from 127.0.0.1, 127.0.0.2, …: one address has too few ports
    size_t handshakes_at_once = 256;  // a listener's usual backlog is 4096
  };

  LoadClient(const Target& target, LoadHandler& handler);
  LoadClient(const LoadClient&) = delete;
  LoadClient& operator=(const LoadClient&) = delete;
  ~LoadClient();

  // Opens connections 0 to `count` - 1 and returns when each has had its `welcome` and its `synced` (raw: its answer to
  // the handshake): from then on everything is live. Who is told that there is no room (503) comes back a little later.
  // Once per object.
  Status open(size_t count, const LoginOf& login_of, const Opening& opening);
  // When the last `welcome` came.
  Instant last_welcome() const { return last_welcome_; }
  // How often there was no room.
  uint64_t refusals() const { return refusals_; }

  // Turns until stop() or the first failure, which it returns.
  Status run();
  // Says goodbye on every connection and waits up to 2 s for the server to close them.
  void close();

  // For the handler:
  void send(size_t connection, std::string_view text);   // leaves at the end of the turn
  void wake_at(Instant when) { poller_.wake_at(when); }  // a turn begins at that moment; replaces the last
  void stop() { stopped_ = true; }
  void fail_with(Error error);

  // Makes the next turn come at once. Any thread.
  void wake() { poller_.wake(); }

 private:
  enum class Stage : uint8_t { unused, handshake, welcome, replay, open, closing, closed };
  struct Connection {
    int socket = -1;
    Stage stage = Stage::unused;
    bool dirty = false;    // in dirty_
    bool blocked = false;  // waits for EPOLLOUT
    std::unique_ptr<LoadTls> tls;  // null: in the clear
    std::string out;
    std::string head;  // of the server's answer, until it is complete
    gateway::FrameDecoder decoder;
  };

  void turn(std::chrono::milliseconds longest);
  Status start(size_t number, const Login& login);
  void come_back(size_t number);
  void start_again(const LoginOf& login_of);
  void on_readable(size_t number);
  void on_handshake_bytes(size_t number, std::span<char> bytes);
  void on_frames(size_t number, std::span<char> bytes, Instant received);
  void on_early_text(size_t number, std::string_view text, Instant received);
  void on_peer_closed(size_t number, const std::string& why);
  void queue_frame(size_t number, gateway::Opcode opcode, std::string_view payload);
  ssize_t receive(Connection& connection);
  void flush(size_t number);
  static std::string why(const Connection& connection);  // the last call on its socket failed
  void drop(size_t number);

  const Target& target_;
  LoadHandler& handler_;
  Poller poller_;
  SystemClock clock_;
  SeededRandom random_;
  LoadHandshake handshake_;
  IncomingReader reader_;
  std::vector<Connection> connections_;
  struct Returning {
    Instant when;
    size_t number;
  };
  std::vector<Returning> returning_;  // to a server that had no room
  std::vector<size_t> dirty_;
  std::vector<char> read_buffer_;
  size_t live_ = 0;  // sockets that are open
  size_t ready_ = 0;
  Opening opening_;
  uint64_t refusals_ = 0;
  Instant last_welcome_{};
  bool stopped_ = false;
  Status failure_;
};

}  // namespace tidemark::app
