// Makes a disk that fails out of the one under `tidemark`: linked into tidemark_faulty only.
//
// Listens on the Unix socket named by FAULTY_VFS_SOCKET; each connection sends one line and gets one back:
//   fail OPERATION NTH [TIMES]   that operation fails (open read write sync truncate remove size lock shm)
//   full on | full off           no file can grow
//   delay MILLISECONDS           before every fsync
//   cut SEED [OPERATION NTH]     the power goes, now or before that operation: the process is killed
//   crash OPERATION NTH          the process is killed before that operation; the disk keeps what was written
//   clear                        no faults
//   count OPERATION              how often it was called since the last fault was set
// FAULTY_VFS_COMMAND holds one such line that is done before the program starts.
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <thread>

#include "faulty_vfs.h"

namespace tidemark::faults {
namespace {

std::optional<Operation> operation_of(const std::string& name) {
  const auto found = std::find(kOperationNames.begin(), kOperationNames.end(), name);
  return found == kOperationNames.end() ? std::nullopt : std::optional(static_cast<Operation>(found - kOperationNames.begin()));
}

std::string obey(const std::string& line) {
  FaultyVfs& vfs = FaultyVfs::instance();
  std::istringstream words(line);
  std::string verb, name;
  words >> verb;
  if (verb == "fail" || verb == "crash") {
    Fault fault;
    words >> name >> fault.nth;
    const auto operation = operation_of(name);
    if (!operation || !words) {
      return "which operation?";
    }
    words >> fault.times;
    fault.times = words ? fault.times : 1;
    fault.operation = *operation;
    fault.effect = verb == "crash" ? Effect::crash : Effect::fail;
    vfs.set_fault(fault);
  } else if (verb == "full") {
    words >> name;
    vfs.set_full(name == "on");
  } else if (verb == "delay") {
    int milliseconds = 0;
    words >> milliseconds;
    vfs.set_sync_delay(milliseconds);
  } else if (verb == "cut") {
    uint64_t seed = 0;
    words >> seed;
    vfs.set_seed(seed);
    Fault fault;
    fault.effect = Effect::cut;
    if (words >> name >> fault.nth) {
      const auto operation = operation_of(name);
      if (!operation) {
        return "which operation?";
      }
      fault.operation = *operation;
      vfs.set_fault(fault);
    } else {
      vfs.cut_power();
    }
  } else if (verb == "clear") {
    vfs.clear_fault();
    vfs.set_full(false);
    vfs.set_sync_delay(0);
  } else if (verb == "count") {
    words >> name;
    const auto operation = operation_of(name);
    return operation ? std::to_string(vfs.count(*operation)) : "which operation?";
  } else {
    return "what?";
  }
  return "ok";
}

void serve_control(int listener) {
  for (;;) {
    const int peer = ::accept(listener, nullptr, nullptr);
    if (peer < 0) {
      continue;
    }
    char buffer[256];
    const ssize_t size = ::read(peer, buffer, sizeof buffer);
    const std::string answer = size > 0 ? obey(std::string(buffer, static_cast<size_t>(size))) + "\n" : "";
    [[maybe_unused]] const ssize_t written = ::write(peer, answer.data(), answer.size());
    ::close(peer);
  }
}

void listen_on(const char* path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  ::unlink(path);
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(listener, 8) != 0) {
    std::perror("faulty_server");
    std::abort();
  }
  // The program's signals are not this thread's.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread(serve_control, listener).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

const bool kInstalled = [] {
  FaultyVfs::instance().install();
  FaultyVfs::instance().set_power_off([] { ::kill(::getpid(), SIGKILL); });
  if (const char* const line = std::getenv("FAULTY_VFS_COMMAND")) {
    obey(line);
  }
  if (const char* const path = std::getenv("FAULTY_VFS_SOCKET")) {
    listen_on(path);
  }
  return true;
}();

}  // namespace
}  // namespace tidemark::faults
