// For tests: real Redis servers and sentinels on loopback, each in a directory of its own, ended by their process id.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bus/redis_options.h"
#include "core/certificate_fixture.h"

namespace tidemark::bus {

// A port that nobody has at this moment.
inline int free_port() {
  boost::asio::io_context io;
  boost::asio::ip::tcp::acceptor acceptor(io, {boost::asio::ip::address_v4::loopback(), 0});
  return acceptor.local_endpoint().port();
}

// A redis-server, or a redis-sentinel. Debian's redis-tools has the program of both under a third name; it looks at the
// name that it is called by. Ends with the object, or with the thread that started it.
class RedisServer {
 public:
  enum class Kind : uint8_t { server, sentinel };

  // `settings`: lines of its configuration, beside those that keep it on loopback and off the disk.
  explicit RedisServer(std::vector<std::string> settings = {}, Kind kind = Kind::server)
      : kind_(kind), settings_(std::move(settings)) {
    std::string name = (std::filesystem::temp_directory_path() / "tidemark-redis-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
    for (int tries = 0; tries < 20 && process_ == 0; ++tries) {
      port_ = free_port();  // somebody else may take it first
      spawn();
    }
    EXPECT_NE(process_, 0) << "no Redis: script/bootstrap --test installs redis-tools";
  }
  ~RedisServer() {
    stop();
    std::filesystem::remove_all(directory_);
  }
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  // Again, on the same port. Returns when it takes connections.
  void start() {
    spawn();
    EXPECT_NE(process_, 0);
  }
  void stop() {
    if (process_ != 0) {
      ::kill(process_, SIGKILL);
      ::waitpid(std::exchange(process_, 0), nullptr, 0);
    }
  }
  // Returns when it stands still.
  void pause() {
    ::kill(process_, SIGSTOP);
    int status = 0;
    EXPECT_EQ(::waitpid(process_, &status, WUNTRACED), process_);
    EXPECT_TRUE(WIFSTOPPED(status));
  }
  void resume() { ::kill(process_, SIGCONT); }

  int port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  std::string url() const { return "redis://" + address(); }

  // What redis-cli prints for these words of a shell.
  std::string cli(const std::string& words) const {
    FILE* const pipe = ::popen(("redis-cli -p " + std::to_string(port_) + " " + words + " 2>&1").c_str(), "r");
    std::string printed;
    for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) {
      printed += static_cast<char>(c);
    }
    ::pclose(pipe);
    return printed;
  }

 private:
  // Leaves process_ at 0 when it ends instead of taking connections.
  void spawn() {
    const std::string configuration = directory_ + "/redis.conf";
    {
      std::ofstream file(configuration);
      file << "port " << port_ << "\nbind 127.0.0.1\ndaemonize no\ndir " << directory_ << "\nlogfile \"\"\n";
      if (kind_ == Kind::server) {
        file << "save \"\"\nappendonly no\n";
      }
      for (const std::string& line : settings_) {
        file << line << "\n";
      }
    }
    int log[2];
    EXPECT_EQ(::pipe(log), 0);
    const int process = ::fork();
    if (process == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::dup2(log[1], STDOUT_FILENO);
      ::close_range(3, ~0U, 0);
      const char* const name = kind_ == Kind::server ? "redis-server" : "redis-sentinel";
      ::execl("/usr/bin/redis-check-rdb", name, configuration.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(log[1]);
    FILE* const lines = ::fdopen(log[0], "r");
    char line[1024];
    while (process_ == 0 && std::fgets(line, sizeof line, lines) != nullptr) {
      const std::string_view text = line;
      if (text.find("Ready to accept connections") != text.npos || text.find("+monitor master") != text.npos) {
        process_ = process;
      }
    }
    std::fclose(lines);  // Redis goes on without
    if (process_ == 0) {
      ::waitpid(process, nullptr, 0);
    }
  }

  const Kind kind_;
  const std::vector<std::string> settings_;
  std::string directory_;
  int port_ = 0;
  int process_ = 0;  // 0: none
};

// One that speaks TLS, too, with a certificate of its own for 127.0.0.1.
class RedisTlsServer {
 public:
  int port() const { return port_; }
  const CertificateFiles& certificate() const { return certificate_; }
  std::string url() const { return url(certificate_); }
  std::string url(const CertificateFiles& trusted) const {
    return "rediss://127.0.0.1:" + std::to_string(port_) + "?ca=" + trusted.certificate();
  }

 private:
  const CertificateFiles certificate_{{.alternative_names = "IP:127.0.0.1"}};
  const int port_ = free_port();
  const RedisServer server_{{"tls-port " + std::to_string(port_), "tls-cert-file " + certificate_.certificate(),
                             "tls-key-file " + certificate_.key(), "tls-auth-clients no"}};
};

inline const auto kAsTheyAre = [](RedisOptions&) {};

// The target of a URL, with its options changed by `change`.
template <class Change = decltype(kAsTheyAre)>
std::shared_ptr<const RedisTarget> target_of(const std::string& url, Change change = kAsTheyAre) {
  auto options = parse_redis_url(url);
  EXPECT_TRUE(options.ok()) << options.error().text;
  change(*options);
  auto target = RedisTarget::make(std::move(*options));
  EXPECT_TRUE(target.ok()) << target.error().text;
  return *target;
}

}  // namespace tidemark::bus
