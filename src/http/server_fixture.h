// A running Server on a free port with a small command table, and a blocking client. For tests.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "account/account.h"
#include "core/json.h"
#include "http/rest.h"
#include "http/server.h"
#include "session/session.h"
#include "storage/sqlite_database.h"

namespace tidemark::http {

struct Answer {
  int status = 0;  // 0: the connection ended instead
  std::string head;
  std::string body;

  // The value of a header, empty if absent.
  std::string header(const std::string& name) const {
    const size_t at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) {
      return {};
    }
    const size_t start = at + name.size() + 4;
    return head.substr(start, head.find("\r\n", start) - start);
  }
};

inline command::RateTable never_too_fast() {
  command::RateTable table;
  table.fill({.per_second = 1e6, .burst = 1e6});
  return table;
}

// Waits at most ten seconds for anything.
class Client {
 public:
  struct MayFail {};

  explicit Client(int port, int receive_buffer = 0) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    connect(port, receive_buffer);
    EXPECT_TRUE(connected_);
  }
  Client(int port, MayFail) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) { connect(port, 0); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { close(); }

  void close() {
    if (fd_ >= 0) {
      ::close(std::exchange(fd_, -1));
    }
  }
  bool connected() const { return connected_; }
  // False when the server has gone.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) {
        return false;
      }
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  Answer answer(bool has_body = true) {
    Answer answer;
    size_t end = 0;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
      if (!receive()) {
        return answer;
      }
    }
    answer.head = buffer_.substr(0, end + 2);
    buffer_.erase(0, end + 4);
    answer.status = std::atoi(answer.head.c_str() + 9);
    const size_t length = has_body ? static_cast<size_t>(std::atoll(answer.header("Content-Length").c_str())) : 0;
    while (buffer_.size() < length) {
      if (!receive()) {
        answer.status = 0;
        return answer;
      }
    }
    answer.body = buffer_.substr(0, length);
    buffer_.erase(0, length);
    return answer;
  }
  Answer ask(std::string_view bytes, bool has_body = true) {
    send(bytes);
    return answer(has_body);
  }
  // Reads until the server closes; what came before that is lost. False: it did not in time.
  bool at_end() {
    while (receive()) {
    }
    return ended_;
  }

 private:
  void connect(int port, int receive_buffer) {
    const timeval patience{10, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (receive_buffer > 0) {
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }

  bool receive() {
    char bytes[16384];
    const ssize_t got = ::recv(fd_, bytes, sizeof bytes, 0);
    ended_ = ended_ || got == 0;
    buffer_.append(bytes, static_cast<size_t>(std::max<ssize_t>(got, 0)));
    return got > 0;
  }

  int fd_;
  bool connected_ = false;
  bool ended_ = false;
  std::string buffer_;
};

class ServerTest : public testing::Test {
 protected:
  static constexpr std::string_view kSecret = "a secret of at least thirty-two bytes";

  ServerTest() {
    auto keys = account::KeySet::make({.hs256_secret = Secret(std::string(kSecret)),
                                       .session_key = Secret("another one of at least thirty-two bytes")});
    auto database = storage::open_sqlite({.path = ":memory:"}, metrics_);
    EXPECT_TRUE(database.ok());
    database_ = std::move(*database);
    account_ = std::make_unique<account::Account>(workers_, *database_, std::move(*keys), account::AccountOptions{}, clock_,
                                                  metrics_);
    EXPECT_TRUE(storage::migrate(*database_, session::kMigrations).ok());
    sessions_ = std::make_unique<session::Sessions>(
        workers_, *database_, *account_, clock_, random_,
        session::SessionOptions{std::chrono::hours(1), std::chrono::hours(2), std::chrono::minutes(5)}, metrics_);
    sessions_->add_commands(table_);
    add_rows();
    table_.freeze();
    rest_ = std::make_unique<Rest>(table_, *sessions_);
    workers_.start();
  }
  ~ServerTest() override {
    workers_.stop_and_join();
    server_.reset();
    database_->close();
  }

  void start(ServerOptions options = {}, ServerHooks hooks = {}) {
    server_ = std::make_unique<Server>(workers_, metrics_, &table_, rest_.get(), std::move(options), std::move(hooks));
    ASSERT_TRUE(server_->listen("127.0.0.1", 0).ok());
  }
  std::string token(const std::string& user, std::vector<std::string> roles = {}) {
    const int64_t now = clock_.unix_ms() / 1000;
    return account::mint_token({.user = UserId(user), .tenant = TenantId("default"), .roles = std::move(roles),
                                .issued_at = now, .expires_at = now + 600},
                               Secret(std::string(kSecret)));
  }
  static std::string request(const std::string& line, const std::string& headers = {}, const std::string& body = {}) {
    const std::string length = body.empty() ? "" : "Content-Length: " + std::to_string(body.size()) + "\r\n";
    return line + " HTTP/1.1\r\nHost: localhost\r\n" + headers + length + "\r\n" + body;
  }
  std::string bearer(const std::string& user = "alice", std::vector<std::string> roles = {}) {
    return "Authorization: Bearer " + token(user, std::move(roles)) + "\r\n";
  }
  Answer ask(const std::string& bytes) { return Client(server_->port()).ask(bytes); }

  SystemClock clock_;
  SystemRandom random_;
  MetricRegistry metrics_;
  WorkerPool workers_{2, clock_};
  command::RateLimiter limiter_{workers_, never_too_fast(), metrics_};
  command::Table table_{limiter_, clock_};
  std::unique_ptr<account::Account> account_;
  std::unique_ptr<storage::Database> database_;
  std::unique_ptr<session::Sessions> sessions_;
  std::unique_ptr<Rest> rest_;
  std::unique_ptr<Server> server_;

 private:
  using Caller = command::Caller;
  using Reply = command::Reply;
  using Request = command::Request;

  // GET /whoami: the caller. POST /things {title}: created. GET /big?bytes=: a large answer. GET /limited: refused.
  // Each visits the other worker first.
  void add_rows() {
    const auto elsewhere = [this] { return &workers_.at(1 - Worker::current()->index()); };
    table_.add({.method = "GET",
                .path = "/whoami",
                .access = command::Access::scope,
                .handler = [elsewhere](Caller caller, Request) -> Task<Result<Reply>> {
                  co_await elsewhere()->enter();
                  Reply reply;
                  JsonWriter(reply.data)
                      .begin()
                      .field("user", caller.user.str())
                      .field("session", caller.session.str())
                      .field("service", caller.service)
                      .field("ip", caller.client_ip)
                      .end();
                  co_return reply;
                }});
    table_.add({.method = "POST",
                .path = "/things",
                .fields = {command::Field{.name = "title", .required = true, .max = 2'000'000}},
                .handler = [elsewhere](Caller, Request request) -> Task<Result<Reply>> {
                  co_await elsewhere()->enter();
                  Reply reply;
                  reply.created = true;
                  JsonWriter(reply.data).begin().field("bytes", request.text("title").size()).end();
                  co_return reply;
                }});
    table_.add({.method = "GET",
                .path = "/big",
                .fields = {command::Field{.name = "bytes",
                                          .type = command::FieldType::integer,
                                          .required = true,
                                          .where = command::Where::query}},
                .handler = [elsewhere](Caller, Request request) -> Task<Result<Reply>> {
                  co_await elsewhere()->enter();
                  Reply reply;
                  reply.data = "{\"x\":\"" + std::string(static_cast<size_t>(request.integer("bytes")), 'x') + "\"}";
                  co_return reply;
                }});
    table_.add({.method = "GET", .path = "/limited", .handler = [](Caller, Request) -> Task<Result<Reply>> {
                  co_return Error{Code::rate_limited, {}, {}, 1500};
                }});
  }
};

}  // namespace tidemark::http
