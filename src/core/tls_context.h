// TlsContext: the rules by which one side of TLS is spoken: a server's, with its certificate and key, or a client's,
// with those whose certificates it believes.
//
// TLS 1.2 and 1.3 with the ciphers and curves of Mozilla's intermediate configuration that need no DH parameters.
// No renegotiation, no compression, no early data. A server's ALPN is http/1.1 and nothing else. A session is resumed by
// a ticket that the client keeps; nothing is stored here, and the key of the tickets is gone with the context.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/result.h"

struct ssl_ctx_st;  // OpenSSL's SSL_CTX

namespace tidemark {

// Immutable, any thread. A connection holds what it needs of it by itself: a context may go before its connections.
class TlsContext {
 public:
  // PEM files: the certificate with the chain behind it, and its key, not encrypted. Waits for the disk. An error says
  // which file is wrong and why.
  static Result<std::shared_ptr<const TlsContext>> make(const std::string& certificate_path,
                                                        const std::string& key_path);
  // A client's: the server has to show a certificate that leads to one in this PEM file, or, where the path is empty, to
  // one that the system believes. Waits for the disk.
  static Result<std::shared_ptr<const TlsContext>> make_client(const std::string& ca_path);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  ssl_ctx_st* native() const { return context_; }
  // Of a server's certificate, for the log: its subject, and the first second, Unix time, in which it is valid no more.
  std::string subject() const;
  int64_t expires_at() const;

 private:
  explicit TlsContext(ssl_ctx_st* context) : context_(context) {}

  ssl_ctx_st* const context_;
};

// Why the last call into OpenSSL on this thread failed: a static text, empty if it is not known.
std::string_view tls_failure();

}  // namespace tidemark
