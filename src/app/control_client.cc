#include "app/control_client.h"

#include <filesystem>
#include <thread>

#include "account/token.h"
#include "app/control_socket.h"
#include "app/node.h"
#include "app/store.h"

namespace tidemark::app {
namespace {

constexpr size_t kLineBytesMax = 64 * 1024 * 1024;  // of output
constexpr auto kAnswerTimeout = std::chrono::hours(24);  // a node that ends closes the connection
constexpr auto kSendTimeout = std::chrono::seconds(5);
constexpr int kAttempts = 50;  // while a node starts or ends
constexpr auto kBetweenAttempts = std::chrono::milliseconds(100);

Status talk(ControlSocket socket, const OperationRequest& request, const Print& print) {
  const std::string line = to_json(request);
  // The first character of the JSON object is the mark.
  if (!socket.write_line(line.front(), std::string_view(line).substr(1), kSendTimeout)) {
    return fail(Code::unavailable, "the node ended before it took the request");
  }
  for (;;) {
    auto answer = socket.read_line(kLineBytesMax, kAnswerTimeout);
    if (!answer.ok() || answer->empty()) {
      return fail(Code::unavailable, "the node ended before it was done: look at its log, then try again");
    }
    const std::string_view text = std::string_view(*answer).substr(1);
    switch (answer->front()) {
      case '>':
        if (!print(text)) {
          return fail(Code::unavailable, "the output could not be written");
        }
        break;
      case '.': return {};
      default: return fail(Code::unavailable, std::string(text));
    }
  }
}

Status do_it_here(const Config& config, const OperationRequest& request, const Print& print) {
  NodeOptions options;
  options.closed = true;
  Config closed = config;
  // No token is going to be checked, and its keys may be out of the operator's reach.
  closed.auth.jwks_file.clear();
  closed.auth.hs256_secret = Secret(std::string(account::kSecretBytesMin, '-'));
  closed.auth.hs256_secret_previous = Secret();
  auto node = Node::make(closed, std::move(options));
  if (!node.ok()) {
    return node.error();
  }
  if (const Status started = (*node)->start(); !started.ok()) {
    return started;
  }
  const OperationAnswer answer{print, [] { return false; }};
  const Status done = (*node)->operate(request, answer);
  (*node)->stop();
  return done;
}

}  // namespace

Error no_lasting_store() {
  return fail(Code::invalid_field, "this needs a store that outlives the node: storage.url must be sqlite:PATH or postgresql://…");
}

Error only_for_files() {
  return fail(Code::invalid_field,
              "this needs a store in a file: storage.url must be sqlite:PATH; for PostgreSQL use pg_dump and pg_restore");
}

Error no_store_at(const std::string& path) {
  return fail(Code::not_found, "there is no store at " + path + ": name the configuration of the node with --config");
}

Status ask_node(const Config& config, const OperationRequest& request, const Print& print) {
  const auto path = directory_anchor(config);
  if (!path) {
    return no_lasting_store();
  }
  auto socket = connect_in(DataDirectory::of(*path));
  return socket.ok() ? talk(std::move(*socket), request, print) : Status(socket.error());
}

Status ask_node_or(const Config& config, const OperationRequest& request, const Print& print,
                   const std::function<Status()>& here) {
  const auto path = directory_anchor(config);
  if (!path) {
    return no_lasting_store();
  }
  const std::string directory = DataDirectory::of(*path);
  // A node that just starts holds the lock before it listens, one that ends still holds it afterwards.
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    auto socket = connect_in(directory);
    if (socket.ok()) {
      return talk(std::move(*socket), request, print);
    }
    if (socket.error().code != Code::not_found) {
      return socket.error();
    }
    if (!DataDirectory::is_held(*path)) {
      return here();
    }
    std::this_thread::sleep_for(kBetweenAttempts);
  }
  return fail(Code::unavailable, "another tidemark uses " + directory +
                                     " and does not answer: it is just starting or ending, or it is another command; "
                                     "try again");
}

Status ask_node_or_do(const Config& config, const OperationRequest& request, const Print& print) {
  return ask_node_or(config, request, print, [&]() -> Status {
    std::error_code error;
    const auto path = sqlite_path(config);
    if (path && !std::filesystem::exists(*path, error)) {
      return no_store_at(*path);
    }
    return do_it_here(config, request, print);
  });
}

}  // namespace tidemark::app
