#include "app/serve.h"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <future>
#include <iostream>
#include <thread>

#include "app/node.h"
#include "core/error_table.h"
#include "core/log.h"
#include "core/random.h"

namespace tidemark::app {
namespace {

int complain(const Error& error) {
  std::cerr << "tidemark: " << (error.text.empty() ? row_of(error.code).text : std::string_view(error.text)) << '\n';
  return 1;
}

// Signals are taken by one thread with sigwait; every other thread starts with them blocked.
sigset_t handled_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) {
    sigaddset(&signals, number);
  }
  return signals;
}

// As many descriptors as the system lets us have: each connection is one.
void raise_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

Secret make_dev_secret() {
  static constexpr char kHex[] = "0123456789abcdef";
  SystemRandom random;
  unsigned char bytes[32];
  random.fill(bytes);
  std::string text;
  for (const unsigned char byte : bytes) {
    text += kHex[byte >> 4];
    text += kHex[byte & 15];
  }
  return Secret(text);
}

Status prepare(Config& config, bool dev) {
  if (dev) {
    const std::pair<const char*, const Listener&> listeners[] = {{"http.listen", config.http.listen},
                                                                 {"session.grpc_listen", config.session.grpc_listen},
                                                                 {"statesync.grpc_listen",
                                                                  config.statesync.grpc_listen}};
    for (const auto& [key, listener] : listeners) {
      if (listener && !is_loopback(*listener)) {
        return fail(Code::invalid_field, "--dev listens on loopback only: " + std::string(key) +
                                             " must be 127.0.0.1, [::1] or localhost");
      }
    }
    if (config.auth.hs256_secret.empty() && config.auth.jwks_file.empty()) {
      config.auth.hs256_secret = make_dev_secret();
    }
  } else if (config.auth.hs256_secret.empty() && config.auth.jwks_file.empty()) {
    return fail(Code::invalid_field,
                "no key to verify tokens with: set auth.hs256_secret (at least 32 bytes) or auth.jwks_file, or try "
                "`tidemark serve --dev`");
  }
  return {};
}

void announce(const Config& config, const Node& node, bool dev) {
  const std::string host = config.http.listen ? config.http.listen->host : "-";
  log_info("node.started", {{"node", config.node.id}, {"host", host}, {"port", node.http_port()},
                            {"session_grpc_port", node.session_grpc_port()},
                            {"statesync_grpc_port", node.statesync_grpc_port()},
                            {"workers", config.node.workers}, {"dev", dev}});
  if (dev) {
    std::cerr << "\n  tidemark --dev is INSECURE: anybody on this machine may register as anybody.\n"
              << "  demo:  " << (config.http.tls_cert.empty() ? "http" : "https") << "://127.0.0.1:" << node.http_port() << "/demo\n"
              << "  token: tidemark token --user alice\n\n";
  }
}

}  // namespace

int serve(const ConfigSources& sources) {
  auto loaded = load_config(sources);
  if (!loaded.ok()) {
    return complain(loaded.error());
  }
  Config& config = loaded->config;
  if (const Status prepared = prepare(config, sources.dev); !prepared.ok()) {
    return complain(prepared.error());
  }
  log_setup(config.log.level, config.log.format);
  raise_file_limit();
  const sigset_t signals = handled_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  NodeOptions options;
  options.dev = sources.dev;
  std::atomic<bool> storage_failed{false};
  options.on_storage_failure = [&storage_failed, main = pthread_self()] {
    storage_failed.store(true);
    pthread_kill(main, SIGTERM);  // NOLINT(bugprone-bad-signal-to-kill-thread): it is blocked, and waited for
  };
  auto node = Node::make(config, std::move(options));
  if (!node.ok()) {
    return complain(node.error());
  }
  if (const Status started = (*node)->start(); !started.ok()) {
    return complain(started.error());
  }
  announce(config, **node, sources.dev);

  for (;;) {
    int number = 0;
    if (sigwait(&signals, &number) != 0 || number == SIGUSR1) {
      continue;
    }
    if (number != SIGHUP) {
      break;
    }
    auto fresh = load_config(sources);
    const Status reloaded = fresh.ok() ? (*node)->reload(fresh->config) : Status(fresh.error());
    if (reloaded.ok()) {
      for (const std::string& key : changed_for_restart(loaded->entries, fresh->entries)) {
        log_warn("node.needs_restart", {{"key", key}});
      }
      log_info("node.reloaded");
    } else {
      log_error("node.reload_failed", {{"error", reloaded.error().text}});
    }
  }
  log_info("node.draining");
  std::thread impatient([&signals, &storage_failed] {
    for (;;) {
      int number = 0;
      if (sigwait(&signals, &number) == 0 && number == SIGUSR1) {
        return;
      }
      if (number == SIGTERM || number == SIGINT) {
        _exit(storage_failed.load() ? 1 : 0);  // what was acknowledged is on the disk
      }
    }
  });
  (*node)->drain();
  (*node)->stop();
  pthread_kill(impatient.native_handle(), SIGUSR1);
  impatient.join();
  log_info("node.stopped");
  return storage_failed.load() ? 1 : 0;
}

}  // namespace tidemark::app
