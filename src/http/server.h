// The HTTP door: REST, health, metrics, web pages, and the way in for WebSocket upgrades.
//
// One acceptor on worker 0 hands sockets round robin to the workers; a connection stays on its worker. A second Server
// with `metrics_only` listens for Prometheus. HTTP/1.1 and 1.0, in the clear or over TLS.
#pragma once

#include <atomic>
#include <boost/beast/http/message.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "command/table.h"
#include "core/address.h"
#include "core/metrics.h"
#include "core/result.h"
#include "core/stream_socket.h"
#include "core/worker.h"

namespace tidemark::http {

class Rest;
class Acceptor;
enum class Room : uint8_t;
struct Context;

// A request for the WebSocket path, as it came: perhaps no correct upgrade. The socket is on its worker's io_context,
// with no wait pending; the head is whole and has passed the checks that hold for every request (size,
// one Host, no smuggling). Whoever takes it answers it and closes it.
struct Upgrade {
  StreamSocket socket;
  boost::beast::http::request_header<> head;
  std::string early_bytes;  // already read behind the head
  std::string client_ip;
  int client_port = 0;
  bool scarce = false;  // file descriptors run short: refuse it
};

struct Readiness {
  bool ready = true;
  std::string json;  // the body of /readyz: an object that says which part fails
};

struct ServerOptions {
  std::chrono::milliseconds handshake_timeout{5000};  // from accept, or a later request's first byte, to its head's end
  std::chrono::milliseconds idle_timeout{60000};      // between two requests of a connection
  std::chrono::milliseconds body_timeout{30000};      // from the head's end to the body's end
  std::chrono::milliseconds write_timeout{30000};     // without progress in sending an answer
  std::chrono::milliseconds linger{2000};             // reads and discards so long after the answer before a close
  size_t header_bytes = 8192;                         // request line and headers; above: 431
  int header_count = 100;                             // above: 431
  size_t body_bytes = 1024 * 1024;                    // limits.http_body; above: 413
  size_t bodies_bytes_max = 256 * 1024 * 1024;        // all bodies being received or handled; above: 503
  size_t connections_max = 65536;                     // not counting upgraded ones; above: 503
  std::vector<std::string> allowed_origins;           // for CORS, compared exactly
  Networks trusted_proxies;  // whose PROXY header and X-Forwarded-For are believed
  bool loopback_hosts_only = false;  // dev mode: Host must be localhost, 127.0.0.1 or [::1] (any port), else 403
  bool demo = false;                 // serves /demo
  bool upgrade_any_path = false;     // every request is handed over as an upgrade; no table is needed then
  bool metrics_only = false;         // serves /metrics, /healthz and /readyz and nothing else
};

// What the server calls, all on the worker of the connection that asks. Empty functions: upgrades are not found, ready.
struct ServerHooks {
  std::function<void(Upgrade)> upgrade;   // GET /api/v1/ws/connect, GET /ws
  std::function<Readiness()> readiness;   // must not wait
};

// Made at wiring, after the command table is frozen (`table` and `rest` may be null with metrics_only); destroyed when
// the workers have stopped. listen() may be called before or after the workers start, once; the others from any thread.
class Server {
 public:
  Server(WorkerPool& workers, MetricRegistry& metrics, const command::Table* table, const Rest* rest,
         ServerOptions options, ServerHooks hooks);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // `host` is an IP address, "localhost", or empty for every address; port 0 takes a free one. An Error says what the
  // system said.
  Status listen(const std::string& host, int port);
  int port() const;  // the bound one, 0 before listen()

  // Connections that are accepted from now on speak TLS with `tls`; null: in the clear. From any thread.
  void use_tls(std::shared_ptr<const TlsContext> tls);
  // HTTP connections of one address, or one /64, on each worker; above: 503. 0, at first: any number. From any thread.
  void set_connections_per_ip(size_t most);
  // A connected stream socket, as if it had been accepted here, with so much room for descriptors. On its worker.
  void adopt(Worker& worker, boost::asio::ip::tcp::socket socket, const boost::asio::ip::tcp::endpoint& peer, Room room);

  // New connections are refused by the system from now on.
  void stop_listening();
  // Answers say `Connection: close` from now on, and idle keep-alive connections are closed. Upgrades are still handed
  // over: their taker refuses them.
  void begin_drain();
  // Closes connections that wait for another request.
  void close_idle();
  // HTTP connections that are open, without upgraded ones.
  size_t connections() const;

 private:
  std::shared_ptr<Context> context_;  // shared with connections, which may outlive this
  std::unique_ptr<Acceptor> acceptor_;
};

// An early refusal as a whole response: the REST error envelope with `Connection: close`. `status` may differ from the
// table's. Header names and values must hold no line breaks.
std::string refusal(int status, std::string_view code, std::string_view text,
                    const std::vector<std::pair<std::string_view, std::string>>& headers = {});

}  // namespace tidemark::http
