#include "app/bench/load_tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <cerrno>

#include "core/tls_context.h"

namespace tidemark::app {
namespace {

bool is_address(const std::string& host) {
  in6_addr ignored{};
  return inet_pton(AF_INET, host.c_str(), &ignored) == 1 || inet_pton(AF_INET6, host.c_str(), &ignored) == 1;
}

}  // namespace

Result<std::shared_ptr<SSL_CTX>> make_client_tls(const ServerCheck& check) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free);
  if (context == nullptr || SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1) {
    return fail(Code::unavailable, "TLS: " + std::string(tls_failure()));
  }
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_verify(context.get(), check.skip ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nullptr);
  const int trusted = check.ca_file.empty() ? SSL_CTX_set_default_verify_paths(context.get())
                                            : SSL_CTX_load_verify_file(context.get(), check.ca_file.c_str());
  if (trusted != 1) {
    return fail(Code::invalid_field, "--ca " + check.ca_file + " cannot be used: " + std::string(tls_failure()));
  }
  return context;
}

bool expect_host(SSL* ssl, const std::string& host) {
  if (is_address(host)) {
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
  }
  return SSL_set1_host(ssl, host.c_str()) == 1 && SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
}

LoadTls::LoadTls(SSL_CTX& context, const std::string& host, int socket) : ssl_(SSL_new(&context)) {
  if (ssl_ == nullptr || SSL_set_fd(ssl_, socket) != 1 || !expect_host(ssl_, host)) {
    failure_ = "OpenSSL has no memory for it";
    return;
  }
  SSL_set_connect_state(ssl_);
}

LoadTls::~LoadTls() { SSL_free(ssl_); }

ssize_t LoadTls::explain(int result) {
  const int error = SSL_get_error(ssl_, result);
  wants_write_ = error == SSL_ERROR_WANT_WRITE;
  switch (error) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: errno = EAGAIN; return -1;
    case SSL_ERROR_ZERO_RETURN: return 0;
    default: break;
  }
  const long verified = SSL_get_verify_result(ssl_);
  if (verified != X509_V_OK && (SSL_get_verify_mode(ssl_) & SSL_VERIFY_PEER) != 0) {
    failure_ = std::string("the server's certificate is not good: ") + X509_verify_cert_error_string(verified);
  } else {
    failure_ = "TLS: " + std::string(tls_failure());
  }
  errno = EPROTO;
  return -1;
}

ssize_t LoadTls::read(std::span<char> buffer) {
  if (!failure_.empty()) {
    errno = EPROTO;
    return -1;
  }
  size_t got = 0;
  while (got < buffer.size()) {
    ERR_clear_error();
    size_t bytes = 0;
    if (const int done = SSL_read_ex(ssl_, buffer.data() + got, buffer.size() - got, &bytes); done != 1) {
      const ssize_t outcome = explain(done);  // what ends the connection is said again by the next call
      return got > 0 ? static_cast<ssize_t>(got) : outcome;
    }
    got += bytes;
  }
  return static_cast<ssize_t>(got);
}

ssize_t LoadTls::write(std::string_view bytes) {
  if (!failure_.empty()) {
    errno = EPROTO;
    return -1;
  }
  wants_write_ = false;
  size_t sent = 0;
  while (sent < bytes.size()) {  // one record after another
    ERR_clear_error();
    size_t some = 0;
    if (const int done = SSL_write_ex(ssl_, bytes.data() + sent, bytes.size() - sent, &some); done != 1) {
      const ssize_t outcome = explain(done);
      return sent > 0 ? static_cast<ssize_t>(sent) : outcome;
    }
    sent += some;
  }
  return static_cast<ssize_t>(sent);
}

std::string LoadTls::failure() const { return failure_; }

}  // namespace tidemark::app
