// A small echo server on Tidemark's transport: text and binary messages come back as they were, on any path.
//
//   echo --port 9010 [--max-message BYTES] [--max-fragments N]
//
// It exists so that public WebSocket conformance suites can be run against the same handshake and frame code.
#include <CLI/CLI.hpp>
#include <csignal>
#include <iostream>

#include "gateway/websocket.h"
#include "gateway/handshake.h"
#include "http/server.h"

namespace {

using namespace tidemark;

class Echo final : public gateway::WebSocket {
 public:
  using WebSocket::WebSocket;

 private:
  void on_message(std::string_view payload, bool binary) override {
    send_raw(gateway::encode_frame(binary ? gateway::Opcode::binary : gateway::Opcode::text, payload));
    if (queued_bytes() > kQueueBytes) {
      pause(Hold::owner);  // a peer that does not read what it sent is not read from
    }
  }
  void on_drained() override { resume(Hold::owner); }
  void on_closed(CloseCode) override {}

  static constexpr size_t kQueueBytes = 4 * 1024 * 1024;
};

void answer(http::Upgrade upgrade, const gateway::FrameLimits& limits) {
  const auto checked = gateway::check_handshake(upgrade.head);
  const auto* const request = std::get_if<gateway::HandshakeRequest>(&checked);
  if (request == nullptr) {
    const auto& refusal = std::get<gateway::HandshakeRefusal>(checked);
    boost::system::error_code ignored;
    upgrade.socket.send(boost::asio::buffer(http::refusal(refusal.http_status, "invalid_frame", refusal.why,
                                                          {{"Sec-WebSocket-Version", "13"}})),
                        0, ignored);
    upgrade.socket.shutdown(boost::asio::ip::tcp::socket::shutdown_both, ignored);
    return;
  }
  const auto echo = std::make_shared<Echo>(*Worker::current(), std::move(upgrade.socket), limits);
  echo->send_raw(gateway::switching_protocols(request->key, {}));
  echo->start(std::move(upgrade.early_bytes));
}

}  // namespace

int main(int argc, char** argv) {
  int port = 0;
  gateway::FrameLimits limits;
  limits.message_bytes = 64 * 1024 * 1024;
  limits.fragments = 1'000'000;
  limits.allow_binary = true;
  CLI::App app("Echoes WebSocket messages");
  app.add_option("--port", port, "TCP port on 127.0.0.1")->required();
  app.add_option("--max-message", limits.message_bytes, "Largest message in bytes")->capture_default_str();
  app.add_option("--max-fragments", limits.fragments, "Most fragments of one message")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  SystemClock clock;
  MetricRegistry metrics;
  WorkerPool workers(1, clock);
  http::ServerOptions options;
  options.upgrade_any_path = true;
  http::ServerHooks hooks;
  hooks.upgrade = [&limits](http::Upgrade upgrade) { answer(std::move(upgrade), limits); };
  http::Server server(workers, metrics, nullptr, nullptr, std::move(options), std::move(hooks));
  if (const Status listening = server.listen("127.0.0.1", port); !listening.ok()) {
    std::cerr << "echo: " << listening.error().text << '\n';
    return 1;
  }
  workers.start();
  std::cerr << "echo: ws://127.0.0.1:" << server.port() << "/\n";
  int signal = 0;
  sigwait(&signals, &signal);
  workers.stop_and_join();
  return 0;
}
