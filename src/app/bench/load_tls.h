// The client's side of TLS for the load generator.
#pragma once

#include <openssl/types.h>
#include <sys/types.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/result.h"

namespace tidemark::app {

// How the server shows who it is.
struct ServerCheck {
  std::string ca_file;  // PEM, whom to trust; empty: those whom the system trusts
  bool skip = false;    // not at all: for a certificate that was made for a measurement
};

// Of all connections; any thread once it is made. invalid_field if the file cannot be used.
Result<std::shared_ptr<SSL_CTX>> make_client_tls(const ServerCheck& check);

// Expects `host` (a name or an address) in the server's certificate, if that is checked at all.
bool expect_host(SSL* ssl, const std::string& host);

// TLS over one non-blocking socket, which it does not own. read() and write() are as recv() and send() and make the
// handshake on their way: -1 with EAGAIN wants the socket to become readable, or writable if wants_write().
// Owner: one thread.
class LoadTls {
 public:
  LoadTls(SSL_CTX& context, const std::string& host, int socket);
  ~LoadTls();
  LoadTls(const LoadTls&) = delete;
  LoadTls& operator=(const LoadTls&) = delete;

  ssize_t read(std::span<char> buffer);
  ssize_t write(std::string_view bytes);
  bool wants_write() const { return wants_write_; }
  // Why a call failed with EPROTO.
  std::string failure() const;

 private:
  ssize_t explain(int result);

  SSL* ssl_;
  bool wants_write_ = false;
  std::string failure_;
};

}  // namespace tidemark::app
