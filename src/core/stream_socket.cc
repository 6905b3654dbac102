#include "core/stream_socket.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace tidemark {
namespace {

constexpr size_t kRecordBytes = SSL3_RT_MAX_PLAIN_LENGTH;
constexpr size_t kTlsWriteBytes = 256 * 1024;  // in one call; then the caller's other work has its turn

thread_local char t_record[kRecordBytes];

// Walks over parts; hands out what fits into one record.
class Records {
 public:
  explicit Records(std::span<const iovec> parts) : parts_(parts) {}

  // The next bytes, in one piece: a large part as it lies there, small ones copied together. Empty at the end.
  std::string_view peek() const {
    size_t size = 0;
    size_t offset = offset_;
    for (size_t i = at_; i < parts_.size() && size < kRecordBytes; ++i, offset = 0) {
      const char* const bytes = static_cast<const char*>(parts_[i].iov_base) + offset;
      const size_t left = parts_[i].iov_len - offset;
      if (size == 0 && (left >= kRecordBytes || i + 1 == parts_.size())) {
        return {bytes, std::min(left, kRecordBytes)};
      }
      const size_t taken = std::min(left, kRecordBytes - size);
      std::memcpy(t_record + size, bytes, taken);
      size += taken;
    }
    return {t_record, size};
  }

  void skip(size_t bytes) {
    for (offset_ += bytes; at_ < parts_.size() && offset_ >= parts_[at_].iov_len; ++at_) {
      offset_ -= parts_[at_].iov_len;
    }
  }

 private:
  std::span<const iovec> parts_;
  size_t at_ = 0;
  size_t offset_ = 0;
};

StreamSocket::Moved result_of(ssize_t moved) {
  if (moved > 0) {
    return {StreamSocket::Outcome::moved, static_cast<size_t>(moved)};
  }
  if (moved == 0) {
    return {StreamSocket::Outcome::ended};
  }
  return {errno == EAGAIN || errno == EWOULDBLOCK ? StreamSocket::Outcome::again : StreamSocket::Outcome::failed};
}

}  // namespace

// Reading may have to wait for room to write, and writing for something to read: each remembers what it waits for.
struct StreamSocket::Tls {
  Tls(SSL_CTX* context, int descriptor) : ssl(SSL_new(context)) {
    if (ssl == nullptr || SSL_set_fd(ssl, descriptor) != 1) {
      over = Outcome::failed;
      return;
    }
    SSL_set_accept_state(ssl);
  }
  Tls(SSL_CTX* context, int descriptor, const std::string& host) : Tls(context, descriptor) {
    if (over == Outcome::failed) {
      return;
    }
    SSL_set_connect_state(ssl);
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const bool is_address = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
    if (!is_address && (SSL_set1_host(ssl, host.c_str()) != 1 || SSL_set_tlsext_host_name(ssl, host.c_str()) != 1)) {
      over = Outcome::failed;  // never without the check
    }
  }
  ~Tls() { SSL_free(ssl); }
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;

  Outcome explain(int result, Wait& wait) {
    switch (SSL_get_error(ssl, result)) {
      case SSL_ERROR_WANT_READ: wait = Wait::read; return Outcome::again;
      case SSL_ERROR_WANT_WRITE: wait = Wait::write; return Outcome::again;
      case SSL_ERROR_ZERO_RETURN: return over = Outcome::ended;
      default: break;
    }
    const unsigned long first = ERR_peek_error();
    const bool http = ERR_GET_LIB(first) == ERR_LIB_SSL && ERR_GET_REASON(first) == SSL_R_HTTP_REQUEST;
    return over = http ? Outcome::plain_http : Outcome::failed;
  }

  SSL* const ssl;
  Wait reading = Wait::read;
  Wait writing = Wait::write;
  Outcome over = Outcome::moved;  // what every further read says, unless it is `moved`
};

StreamSocket::StreamSocket(Tcp socket) : socket_(std::move(socket)) {}

StreamSocket::StreamSocket(Tcp socket, const TlsContext& context)
    : socket_(std::move(socket)), tls_(std::make_unique<Tls>(context.native(), socket_.native_handle())) {}

StreamSocket::StreamSocket(Tcp socket, const TlsContext& context, const std::string& host)
    : socket_(std::move(socket)), tls_(std::make_unique<Tls>(context.native(), socket_.native_handle(), host)) {}

StreamSocket::StreamSocket(StreamSocket&&) noexcept = default;

StreamSocket::~StreamSocket() = default;

StreamSocket::Moved StreamSocket::read_some(std::span<char> buffer) {
  if (tls_ != nullptr) {
    return read_tls(buffer);
  }
  ssize_t got = 0;
  do {
    got = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  return result_of(got);
}

StreamSocket::Moved StreamSocket::write_some(std::string_view bytes) {
  const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  return write_some({&part, 1});
}

StreamSocket::Moved StreamSocket::write_some(std::span<const iovec> parts) {
  if (tls_ != nullptr) {
    return write_tls(parts);
  }
  constexpr int kFlags = MSG_NOSIGNAL | MSG_DONTWAIT;
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts.data());
  message.msg_iovlen = parts.size();
  ssize_t sent = 0;
  do {
    // A single part, which is the usual case, without the description of a list, which the kernel copies and checks.
    sent = parts.size() == 1 ? ::send(socket_.native_handle(), parts[0].iov_base, parts[0].iov_len, kFlags)
                             : ::sendmsg(socket_.native_handle(), &message, kFlags);
  } while (sent < 0 && errno == EINTR);
  return result_of(sent);
}

// Goes on while OpenSSL holds bytes, because the socket will not become readable for them.
StreamSocket::Moved StreamSocket::read_tls(std::span<char> buffer) {
  if (tls_->over != Outcome::moved) {
    return {tls_->over};
  }
  size_t got = 0;
  while (got < buffer.size()) {
    ERR_clear_error();
    size_t bytes = 0;
    const int done = SSL_read_ex(tls_->ssl, buffer.data() + got, buffer.size() - got, &bytes);
    if (done != 1) {
      const Outcome outcome = tls_->explain(done, tls_->reading);
      return got > 0 ? Moved{Outcome::moved, got} : Moved{outcome};
    }
    got += bytes;
    tls_->reading = Wait::read;
    if (SSL_has_pending(tls_->ssl) != 1) {
      break;
    }
    tls_->reading = Wait::nothing;
  }
  return {Outcome::moved, got};
}

StreamSocket::Moved StreamSocket::write_tls(std::span<const iovec> parts) {
  if (tls_->over == Outcome::failed || tls_->over == Outcome::plain_http) {
    return {Outcome::failed};
  }
  Records records(parts);
  size_t written = 0;
  while (written < kTlsWriteBytes) {
    const std::string_view record = records.peek();
    if (record.empty()) {
      break;
    }
    ERR_clear_error();
    size_t bytes = 0;
    const int done = SSL_write_ex(tls_->ssl, record.data(), record.size(), &bytes);
    if (done != 1) {
      const Outcome outcome = tls_->explain(done, tls_->writing);
      return written > 0 ? Moved{Outcome::moved, written}
                         : Moved{outcome == Outcome::again ? Outcome::again : Outcome::failed};
    }
    tls_->writing = Wait::write;
    records.skip(bytes);
    written += bytes;
  }
  return {Outcome::moved, written};
}

StreamSocket::Wait StreamSocket::next_read() const {
  return tls_->over == Outcome::moved ? tls_->reading : Wait::nothing;
}

StreamSocket::Wait StreamSocket::next_write() const {
  return tls_->over == Outcome::failed ? Wait::nothing : tls_->writing;
}

bool StreamSocket::shutdown() {
  // OpenSSL forbids it after a failure, and there is nothing to end before the handshake is done.
  if (tls_ != nullptr && (tls_->over == Outcome::moved || tls_->over == Outcome::ended) &&
      SSL_is_init_finished(tls_->ssl)) {
    ERR_clear_error();
    const int done = SSL_shutdown(tls_->ssl);
    if (done < 0 && tls_->explain(done, tls_->writing) == Outcome::again) {
      return false;
    }
  }
  boost::system::error_code ignored;
  socket_.shutdown(Tcp::shutdown_send, ignored);
  return true;
}

void StreamSocket::close() {
  boost::system::error_code ignored;
  socket_.close(ignored);
  tls_.reset();
}

void StreamSocket::drop_tls() { tls_.reset(); }

}  // namespace tidemark
