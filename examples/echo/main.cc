// A small echo server on Tidemark's transport: text and binary messages come back as they were, on any path.
//
//   echo --port 9010 [--max-message BYTES] [--max-fragments N] [--deflate]
//
// It exists so that public WebSocket conformance suites can be run against the same handshake and frame code.
#include <CLI/CLI.hpp>
#include <csignal>
#include <iostream>

#include "gateway/extension.h"
#include "gateway/handshake.h"
#include "gateway/websocket.h"
#include "http/server.h"

namespace {

using namespace tidemark;

class Echo final : public gateway::WebSocket {
 public:
  using WebSocket::WebSocket;

 private:
  void on_message(std::string_view payload, bool binary) override {
    send(binary ? stream::Frame::binary(payload) : stream::Frame::text(payload));
    if (queued_bytes() > kQueueBytes) {
      pause(Hold::owner);  // a peer that does not read what it sent is not read from
      ask_drained();
    }
  }
  void on_drained() override { resume(Hold::owner); }
  void on_closed(CloseCode) override {}

  static constexpr size_t kQueueBytes = 4 * 1024 * 1024;
};

void answer(http::Upgrade upgrade, const gateway::FrameLimits& limits, bool deflate) {
  const auto checked = gateway::check_handshake(upgrade.head);
  const auto* const request = std::get_if<gateway::HandshakeRequest>(&checked);
  if (request == nullptr) {
    const auto& refusal = std::get<gateway::HandshakeRefusal>(checked);
    upgrade.socket.write_some(http::refusal(refusal.http_status, "invalid_frame", refusal.why,
                                            {{"Sec-WebSocket-Version", "13"}}));
    upgrade.socket.shutdown();
    return;
  }
  const auto echo = std::make_shared<Echo>(*Worker::current(), std::move(upgrade.socket), limits);
  const std::string extensions = deflate ? gateway::accept_deflate(upgrade.head) : std::string();
  echo->send_raw(gateway::switching_protocols(request->key, {}, extensions));
  if (!extensions.empty()) {
    echo->enable_deflate();
  }
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
  bool deflate = false;
  app.add_flag("--deflate", deflate, "Accepts permessage-deflate");
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
  hooks.upgrade = [&limits, deflate](http::Upgrade upgrade) { answer(std::move(upgrade), limits, deflate); };
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
