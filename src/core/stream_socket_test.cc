#include "core/stream_socket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/certificate_fixture.h"

namespace tidemark {
namespace {

using boost::asio::ip::tcp;
using Outcome = StreamSocket::Outcome;

// The server's end is a StreamSocket, the client's end a plain non-blocking descriptor with OpenSSL on it or not.
class StreamSocketTest : public ::testing::Test {
 protected:
  StreamSocketTest() { ::signal(SIGPIPE, SIG_IGN); }
  ~StreamSocketTest() override {
    SSL_free(client_ssl_);
    SSL_CTX_free(client_context_);
  }

  void connect(const TlsContext* context, int receive_buffer = 64 * 1024) {
    tcp::acceptor acceptor(io_, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
    client_.open(tcp::v4());
    client_.set_option(tcp::socket::receive_buffer_size(receive_buffer));
    client_.connect(acceptor.local_endpoint());
    tcp::socket accepted = acceptor.accept();
    accepted.set_option(tcp::socket::send_buffer_size(1));  // the least that the system has
    accepted.set_option(tcp::no_delay(true));
    accepted.non_blocking(true);
    client_.non_blocking(true);
    if (context == nullptr) {
      server_.emplace(std::move(accepted));
      return;
    }
    server_.emplace(std::move(accepted), *context);
    client_context_ = SSL_CTX_new(TLS_client_method());
    client_ssl_ = SSL_new(client_context_);
    SSL_set_fd(client_ssl_, client_.native_handle());
    SSL_set_connect_state(client_ssl_);
  }

  void connect_tls(int chain = 0, int receive_buffer = 64 * 1024) {
    const CertificateFiles files({.chain = chain});
    const auto context = TlsContext::make(files.certificate(), files.key());
    ASSERT_TRUE(context.ok()) << context.error().text;
    connect(context->get(), receive_buffer);
  }

  void handshake() {
    char byte = 0;
    while (!SSL_is_init_finished(client_ssl_)) {
      SSL_do_handshake(client_ssl_);
      ASSERT_EQ(server_->read_some({&byte, 1}).outcome, Outcome::again);
    }
    client_writes("!");  // when it is here, the server's side is done, too
    while (server_->read_some({&byte, 1}).outcome == Outcome::again) {
      ASSERT_TRUE(readable());
    }
    ASSERT_EQ(byte, '!');
  }

  // Everything that has come to the client.
  std::string client_reads() {
    std::string all;
    char buffer[4096];
    for (;;) {
      const int got = client_ssl_ != nullptr
                          ? SSL_read(client_ssl_, buffer, sizeof buffer)
                          : static_cast<int>(::recv(client_.native_handle(), buffer, sizeof buffer, 0));
      if (got <= 0) {
        return all;
      }
      all.append(buffer, static_cast<size_t>(got));
    }
  }
  void client_writes(std::string_view bytes) {
    const auto size = static_cast<int>(bytes.size());
    ASSERT_EQ(client_ssl_ != nullptr ? SSL_write(client_ssl_, bytes.data(), size)
                                     : ::send(client_.native_handle(), bytes.data(), bytes.size(), 0),
              size);
  }
  std::string server_reads(size_t most = 1 << 16) {
    std::string buffer(most, '\0');
    const StreamSocket::Moved got = server_->read_some(buffer);
    EXPECT_TRUE(got.outcome == Outcome::moved || got.bytes == 0);
    buffer.resize(got.bytes);
    return buffer;
  }
  // Everything up to `size` bytes; what was sent may be under way still.
  std::string client_gets(size_t size) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    std::string all;
    while (all.size() < size && std::chrono::steady_clock::now() < end) {
      all += client_reads();
    }
    return all;
  }
  // Whether the handler of a wait runs within that time.
  template <class Start>
  bool completes(Start start, std::chrono::milliseconds within) {
    const auto called = std::make_shared<bool>(false);  // a wait that does not complete stays
    start([called](const boost::system::error_code& error) { *called = !error; });
    EXPECT_FALSE(*called) << "inside the call";
    const auto end = std::chrono::steady_clock::now() + within;
    do {
      io_.restart();
      io_.poll();
    } while (!*called && std::chrono::steady_clock::now() < end);
    return *called;
  }
  bool readable(std::chrono::milliseconds within = kPatience) {
    return completes([this](auto handler) { server_->wait_readable(handler); }, within);
  }
  bool writable(std::chrono::milliseconds within = kPatience) {
    return completes([this](auto handler) { server_->wait_writable(handler); }, within);
  }

  // Writes `text` as parts of `part` bytes, growing after each refusal as a queue would, while the client reads.
  void expect_whole(const std::string& text, size_t part) {
    std::string received;
    size_t sent = 0;
    size_t offered = std::min<size_t>(text.size(), 1000);
    int refusals = 0;
    while (sent < text.size()) {
      std::vector<std::string> copies;  // at another address each time
      for (size_t at = sent; at < offered && copies.size() < 200; at += part) {
        copies.push_back(text.substr(at, std::min(part, offered - at)));
      }
      std::vector<iovec> parts;
      for (std::string& copy : copies) {
        parts.push_back({copy.data(), copy.size()});
      }
      const StreamSocket::Moved moved = server_->write_some(parts);
      ASSERT_TRUE(moved.outcome == Outcome::moved || moved.outcome == Outcome::again);
      sent += moved.bytes;
      if (moved.outcome == Outcome::again) {
        ++refusals;
        received += client_reads();
      }
      offered = std::min(text.size(), std::max(offered, sent) + 1000 * part);
    }
    while (received.size() < text.size()) {
      received += client_reads();
    }
    EXPECT_EQ(received, text);
    EXPECT_GT(refusals, 0);
  }

  static constexpr std::chrono::milliseconds kPatience{20'000};
  static constexpr std::chrono::milliseconds kAtOnce{0};

  boost::asio::io_context io_;
  tcp::socket client_{io_};
  std::optional<StreamSocket> server_;
  SSL_CTX* client_context_ = nullptr;
  SSL* client_ssl_ = nullptr;
};

std::string long_text(size_t size) {
  std::string text;
  for (int i = 0; text.size() < size; ++i) {
    text += std::to_string(i) + ",";
  }
  return text;
}

TEST_F(StreamSocketTest, InTheClearIsATcpSocketAndAPointer) {
  EXPECT_LE(sizeof(StreamSocket), sizeof(tcp::socket) + sizeof(void*));
  connect(nullptr);
  char byte = 0;
  EXPECT_EQ(server_->read_some({&byte, 1}).outcome, Outcome::again);
  client_writes("hello");
  EXPECT_TRUE(readable());
  EXPECT_EQ(server_reads(), "hello");
  expect_whole(long_text(10'000'000), 5000);
  EXPECT_TRUE(server_->shutdown());
  client_.close();
  EXPECT_TRUE(readable());
  EXPECT_EQ(server_->read_some({&byte, 1}).outcome, Outcome::ended);
}

TEST_F(StreamSocketTest, SmallPartsAndLargeOnesArriveWholeOverTls) {
  connect_tls();
  handshake();
  expect_whole(long_text(1'000'000), 37);
  expect_whole(long_text(10'000'000), 5000);
  expect_whole(long_text(10'000'000), 100'000);
}

TEST_F(StreamSocketTest, BytesThatAreDecryptedAlreadyAreWaitedForNoMore) {
  connect_tls();
  handshake();
  client_writes("hello");
  client_writes("world");
  EXPECT_TRUE(readable());
  EXPECT_EQ(server_reads(2), "he");
  EXPECT_TRUE(readable());
  EXPECT_EQ(server_reads(3), "llo");
  EXPECT_TRUE(readable()) << "a record that was read ahead";
  EXPECT_EQ(server_reads(), "world");
  EXPECT_FALSE(readable(kAtOnce));
}

TEST_F(StreamSocketTest, ReadingWaitsForRoomWhereTheHandshakeHasToWrite) {
  connect_tls(200, 4096);  // more certificates than the buffers take
  SSL_do_handshake(client_ssl_);
  char byte = 0;
  int blocked = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!SSL_is_init_finished(client_ssl_) && std::chrono::steady_clock::now() < end) {
    if (readable(kAtOnce)) {
      ASSERT_EQ(server_->read_some({&byte, 1}).outcome, Outcome::again);
    } else {
      ++blocked;
      SSL_do_handshake(client_ssl_);  // only makes room: the client has nothing to say before it has seen it all
    }
  }
  EXPECT_TRUE(SSL_is_init_finished(client_ssl_));
  EXPECT_GT(blocked, 2);
}

TEST_F(StreamSocketTest, WritingFirstWaitsForTheClientsHello) {
  connect_tls();
  EXPECT_EQ(server_->write_some("early").outcome, Outcome::again);
  EXPECT_FALSE(writable(kAtOnce));
  SSL_do_handshake(client_ssl_);
  EXPECT_TRUE(writable());
  EXPECT_EQ(server_->write_some("early").outcome, Outcome::again);
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (SSL_do_handshake(client_ssl_) != 1 && std::chrono::steady_clock::now() < end) {
  }
  EXPECT_TRUE(writable());
  EXPECT_EQ(server_->write_some("early").bytes, 5u);
  EXPECT_EQ(client_gets(5), "early");
}

TEST_F(StreamSocketTest, EndsWithCloseNotifyAsSoonAsThereIsRoom) {
  connect_tls();
  handshake();
  const std::string block(16 * 1024, 'x');
  StreamSocket::Moved moved;
  while ((moved = server_->write_some(block)).outcome == Outcome::moved) {
  }
  // The record that is blocked goes first; when it has gone, the buffers are still full.
  char bytes[512];
  while ((moved = server_->write_some(block)).outcome == Outcome::again) {
    SSL_read(client_ssl_, bytes, sizeof bytes);
  }
  ASSERT_EQ(moved.outcome, Outcome::moved);
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!server_->shutdown() && std::chrono::steady_clock::now() < end) {
    client_reads();
  }
  while (SSL_get_shutdown(client_ssl_) == 0 && std::chrono::steady_clock::now() < end) {
    client_reads();
  }
  EXPECT_EQ(SSL_get_shutdown(client_ssl_), SSL_RECEIVED_SHUTDOWN);
}

TEST_F(StreamSocketTest, TheClientsCloseNotifyIsTheEnd) {
  connect_tls();
  handshake();
  client_writes("last");
  SSL_shutdown(client_ssl_);
  EXPECT_TRUE(readable());
  EXPECT_EQ(server_reads(), "last");
  char byte = 0;
  EXPECT_TRUE(readable());
  EXPECT_EQ(server_->read_some({&byte, 1}).outcome, Outcome::ended);
  EXPECT_EQ(server_->write_some("an answer").outcome, Outcome::moved);
  EXPECT_EQ(client_gets(9), "an answer");
}

TEST_F(StreamSocketTest, AnEndInTheMiddleIsAFailure) {
  connect_tls();
  handshake();
  client_.shutdown(tcp::socket::shutdown_send);
  char byte = 0;
  EXPECT_TRUE(readable());
  EXPECT_EQ(server_->read_some({&byte, 1}).outcome, Outcome::failed);
  EXPECT_TRUE(readable()) << "a reader that asks again gets the same answer";
  EXPECT_EQ(server_->read_some({&byte, 1}).outcome, Outcome::failed);
  EXPECT_EQ(server_->write_some("x").outcome, Outcome::failed);
  EXPECT_TRUE(server_->shutdown());
}

TEST_F(StreamSocketTest, AnHttpRequestInTheClearIsToldApart) {
  connect_tls();
  const std::string request = "GET / HTTP/1.1\r\n\r\n";
  ASSERT_EQ(::send(client_.native_handle(), request.data(), request.size(), 0), static_cast<ssize_t>(request.size()));
  char byte = 0;
  EXPECT_TRUE(readable());
  EXPECT_EQ(server_->read_some({&byte, 1}).outcome, Outcome::plain_http);
  server_->drop_tls();
  EXPECT_EQ(server_->write_some("HTTP/1.1 400").bytes, 12u);
  SSL_free(std::exchange(client_ssl_, nullptr));
  EXPECT_EQ(client_gets(12), "HTTP/1.1 400");
}

// Both sides are ours.
class ClientSide : public StreamSocketTest {
 protected:
  // Connects as a client that trusts `trusted` and wants to speak to `host`; says what it read, or why it could not.
  std::string hears(const CertificateFiles& trusted, const std::string& host) {
    tcp::acceptor acceptor(io_, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
    tcp::socket near(io_);
    near.connect(acceptor.local_endpoint());
    tcp::socket far = acceptor.accept();
    near.non_blocking(true);
    far.non_blocking(true);
    const auto server_context = TlsContext::make(shown_.certificate(), shown_.key());
    const auto client_context = TlsContext::make_client(trusted.certificate());
    StreamSocket server(std::move(far), **server_context);
    StreamSocket client(std::move(near), **client_context, host);
    char buffer[64];
    const auto end = std::chrono::steady_clock::now() + kPatience;
    bool written = false;
    while (std::chrono::steady_clock::now() < end) {
      const StreamSocket::Moved got = client.read_some(buffer);
      if (got.outcome == Outcome::moved) {
        return {buffer, got.bytes};
      }
      if (got.outcome == Outcome::failed) {
        return std::string(tls_failure());
      }
      char ignored = 0;
      server.read_some({&ignored, 1});
      written = written || server.write_some("hello").outcome == Outcome::moved;
    }
    return "nothing";
  }

  const CertificateFiles shown_{{.alternative_names = "DNS:redis.example,IP:127.0.0.1"}};
};

TEST_F(ClientSide, SpeaksToAServerWhoseCertificateIsForItsHost) {
  EXPECT_EQ(hears(shown_, "redis.example"), "hello");
  EXPECT_EQ(hears(shown_, "127.0.0.1"), "hello");
}

TEST_F(ClientSide, RefusesACertificateForAnotherHost) {
  EXPECT_EQ(hears(shown_, "other.example"), "certificate verify failed");
  EXPECT_EQ(hears(shown_, "127.0.0.2"), "certificate verify failed");
}

TEST_F(ClientSide, RefusesACertificateThatNobodyItTrustsHasSigned) {
  const CertificateFiles other({.alternative_names = "DNS:redis.example"});
  EXPECT_EQ(hears(other, "redis.example"), "certificate verify failed");
}

TEST_F(StreamSocketTest, SaysWhichFileIsWrong) {
  const CertificateFiles one;
  const CertificateFiles two;
  EXPECT_TRUE(TlsContext::make(one.certificate(), one.key()).ok());
  EXPECT_THAT(TlsContext::make("/nowhere", one.key()).error().text, ::testing::HasSubstr("certificate /nowhere"));
  EXPECT_THAT(TlsContext::make(one.certificate(), "/nowhere").error().text, ::testing::HasSubstr("key /nowhere"));
  EXPECT_THAT(TlsContext::make(one.certificate(), two.key()).error().text, ::testing::HasSubstr("does not fit"));
}

}  // namespace
}  // namespace tidemark
