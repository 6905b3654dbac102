#include "app/control_server.h"

#include <sys/socket.h>
#include <unistd.h>

#include "core/error_table.h"
#include "core/log.h"

namespace tidemark::app {

ControlServer::ControlServer(std::string directory, ControlOptions options, Run run)
    : directory_(std::move(directory)), options_(options), run_(std::move(run)) {}

ControlServer::~ControlServer() { stop(); }

Status ControlServer::start() {
  auto listener = listen_in(directory_);
  if (!listener.ok()) {
    return listener.error();
  }
  listener_ = std::move(*listener);
  acceptor_ = std::thread([this] { accept_loop(); });
  return {};
}

void ControlServer::stop() {
  if (!acceptor_.joinable()) {
    return;
  }
  stopping_.store(true);
  // Wakes the accept() and refuses newcomers.
  ::shutdown(listener_.descriptor(), SHUT_RDWR);
  acceptor_.join();
  remove_socket(directory_);
}

void ControlServer::accept_loop() {
  const auto reap = [this] {
    for (auto one = serving_.begin(); one != serving_.end();) {
      if ((*one)->ended.load()) {
        (*one)->thread.join();
        one = serving_.erase(one);
      } else {
        ++one;
      }
    }
  };
  while (!stopping_.load()) {
    ControlSocket socket(::accept4(listener_.descriptor(), nullptr, nullptr, SOCK_CLOEXEC));
    reap();
    if (!socket.ok()) {
      if (!stopping_.load()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));  // out of descriptors: do not spin
      }
      continue;
    }
    if (!may_ask(socket)) {
      log_warn("control.refused");
      continue;
    }
    if (serving_.size() >= options_.requests_max) {
      socket.write_line('!', "the node is busy with other commands: try again when they are done",
                        std::chrono::milliseconds(0));
      continue;
    }
    Serving& serving = *serving_.emplace_back(std::make_unique<Serving>());
    serving.socket = std::move(socket);
    serving.thread = std::thread([this, &serving] {
      serve(serving);
      ::shutdown(serving.socket.descriptor(), SHUT_RDWR);
      serving.ended.store(true);
    });
  }
  for (const auto& one : serving_) {
    ::shutdown(one->socket.descriptor(), SHUT_RD);  // whose request is not there yet waits no longer
    one->thread.join();
  }
  serving_.clear();
}

// The file's mode says the same; this holds for a directory that was made wider by hand, too.
bool ControlServer::may_ask(const ControlSocket& socket) const {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(socket.descriptor(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         (peer.uid == ::geteuid() || peer.uid == 0);
}

void ControlServer::serve(Serving& serving) {
  ControlSocket& socket = serving.socket;
  const auto line = socket.read_line(kRequestBytesMax, options_.request_timeout);
  const auto request = line.ok() ? parse_operation(*line) : Result<OperationRequest>(line.error());
  Status done;
  bool reads = true;  // false: it has taken nothing for too long, and perhaps half a line
  if (request.ok()) {
    OperationAnswer answer;
    answer.print = [&](std::string_view text) {
      if (stopping_.load() || !reads) {
        return false;
      }
      reads = socket.write_line('>', text, options_.write_timeout, &stopping_);
      return reads;
    };
    answer.cancelled = [&] { return stopping_.load() || socket.peer_gone(); };
    done = run_(*request, answer);
  } else {
    done = request.error();
  }
  if (!reads) {
    return;
  }
  if (done.ok()) {
    socket.write_line('.', "", options_.write_timeout, &stopping_);
  } else {
    const Error& error = done.error();
    socket.write_line('!', error.text.empty() ? row_of(error.code).text : std::string_view(error.text),
                      options_.write_timeout, &stopping_);
  }
}

}  // namespace tidemark::app
