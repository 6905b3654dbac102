// StreamSocket: a connected TCP socket on its worker, in the clear or as one side of TLS.
//
// Owner: the worker of the socket's io_context. Moves from the HTTP connection that read the upgrade to the WebSocket;
// no wait may be pending then. Readiness style: wait, then try; no buffer is held between two calls, but for a record
// of which only a part has come or gone.
// Promises: in the clear it is the TCP socket and one pointer, and each call is one system call. Under TLS many small
// parts become few records (16 KiB at most), and the handshake happens by itself inside the first calls.
// With TLS the process has to ignore SIGPIPE.
#pragma once

#include <sys/uio.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/tls_context.h"

namespace tidemark {

class StreamSocket {
 public:
  using Tcp = boost::asio::ip::tcp::socket;

  enum class Outcome : uint8_t {
    moved,       // some bytes, at least one
    again,       // none now: wait, then call again
    ended,       // reading: the peer sends nothing more
    plain_http,  // reading: not TLS but an HTTP request in the clear; see drop_tls()
    failed,      // the connection is of no use any more
  };
  struct Moved {
    Outcome outcome = Outcome::failed;
    size_t bytes = 0;
  };

  // Non-blocking sockets.
  explicit StreamSocket(Tcp socket);
  StreamSocket(Tcp socket, const TlsContext& context);  // the server's side
  // The client's side: the handshake fails unless the server's certificate is for this host, a name or an address.
  StreamSocket(Tcp socket, const TlsContext& context, const std::string& host);
  StreamSocket(StreamSocket&& other) noexcept;
  StreamSocket& operator=(StreamSocket&&) = delete;
  ~StreamSocket();

  Moved read_some(std::span<char> buffer);
  // Takes from the front of the parts. After `again` the next call has to begin with the same bytes; more may follow.
  Moved write_some(std::span<const iovec> parts);
  Moved write_some(std::string_view bytes);

  // `handler(error_code)` runs when read_some() is worth another call: at once (but not inside this call) when bytes are
  // decrypted already. An error means close() or a broken socket.
  template <class Handler>
  void wait_readable(Handler handler) {
    wait(tls_ == nullptr ? Wait::read : next_read(), std::move(handler));
  }
  // The same for write_some() and shutdown().
  template <class Handler>
  void wait_writable(Handler handler) {
    wait(tls_ == nullptr ? Wait::write : next_write(), std::move(handler));
  }

  // Tells the peer that nothing more comes: close_notify, then the end of the stream. False: there is no room for it
  // now; wait_writable(), then call again.
  bool shutdown();
  void close();

  // For what stands before TLS begins (a proxy's header), and for socket options.
  int native_handle() { return socket_.native_handle(); }

  bool is_tls() const { return tls_ != nullptr; }
  // After plain_http: goes on in the clear, so that the client can be told.
  void drop_tls();

 private:
  enum class Wait : uint8_t { nothing, read, write };
  struct Tls;

  Moved read_tls(std::span<char> buffer);
  Moved write_tls(std::span<const iovec> parts);
  Wait next_read() const;
  Wait next_write() const;

  template <class Handler>
  void wait(Wait what, Handler handler) {
    if (what == Wait::nothing) {
      boost::asio::post(socket_.get_executor(),
                        [handler = std::move(handler)]() mutable { handler(boost::system::error_code()); });
    } else {
      socket_.async_wait(what == Wait::read ? Tcp::wait_read : Tcp::wait_write, std::move(handler));
    }
  }

  Tcp socket_;
  std::unique_ptr<Tls> tls_;  // null: in the clear
};

}  // namespace tidemark
