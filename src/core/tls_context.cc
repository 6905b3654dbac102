#include "core/tls_context.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>

namespace tidemark {
namespace {

// Mozilla's intermediate configuration, without the DHE suites.
constexpr char kCiphers[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr char kCurves[] = "X25519:P-256:P-384";
constexpr long kSessionSeconds = 2 * 60 * 60;  // how long a ticket may be used
constexpr unsigned char kHttp11[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

// OpenSSL would ask on the terminal.
int no_password(char*, int, int, void*) { return -1; }

// RFC 7301, 3.2: a client that offers protocols of which we speak none is told so.
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* chosen_size, const unsigned char* offered,
                    unsigned int offered_size, void*) {
  unsigned char* protocol = nullptr;
  if (SSL_select_next_proto(&protocol, chosen_size, kHttp11, sizeof kHttp11, offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *chosen = protocol;
  return SSL_TLSEXT_ERR_OK;
}

// What holds for both sides.
bool configure(SSL_CTX* context) {
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // A record that is written in part is tried again from a queue that has grown meanwhile. Buffers of an idle
  // connection are given back.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context, 1);  // a small record is one system call, not two
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
         SSL_CTX_set_cipher_list(context, kCiphers) == 1 && SSL_CTX_set1_curves_list(context, kCurves) == 1;
}

bool configure_server(SSL_CTX* context) {
  SSL_CTX_set_num_tickets(context, 1);
  SSL_CTX_set_timeout(context, kSessionSeconds);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  SSL_CTX_set_default_passwd_cb(context, no_password);
  return configure(context);
}

Error unusable(const std::string& what, const std::string& path) {
  const std::string_view why = tls_failure();
  return fail(Code::invalid_field, what + " " + path + " cannot be used: " +
                                       std::string(why.empty() ? "OpenSSL does not say why" : why));
}

Status readable(const std::string& what, const std::string& path) {
  std::ifstream file(path);
  if (file.get(); !file) {
    return fail(Code::not_found, what + " " + path + " cannot be read: " +
                                     (file.is_open() ? "it is empty or no file" : std::strerror(errno)));
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<const TlsContext>> TlsContext::make(const std::string& certificate_path,
                                                           const std::string& key_path) {
  const std::string certificate = "the TLS certificate";
  const std::string key = "the TLS key";
  if (const Status status = readable(certificate, certificate_path); !status.ok()) {
    return status.error();
  }
  if (const Status status = readable(key, key_path); !status.ok()) {
    return status.error();
  }
  ERR_clear_error();
  const std::shared_ptr<const TlsContext> made(new TlsContext(SSL_CTX_new(TLS_server_method())));
  SSL_CTX* const context = made->context_;
  if (context == nullptr || !configure_server(context)) {
    return fail(Code::internal, "TLS cannot be set up: " + std::string(tls_failure()));
  }
  if (SSL_CTX_use_certificate_chain_file(context, certificate_path.c_str()) != 1) {
    return unusable(certificate, certificate_path);
  }
  const bool loaded = SSL_CTX_use_PrivateKey_file(context, key_path.c_str(), SSL_FILETYPE_PEM) == 1;
  const int reason = ERR_GET_REASON(ERR_peek_last_error());
  if (!loaded && reason != X509_R_KEY_VALUES_MISMATCH && reason != X509_R_KEY_TYPE_MISMATCH) {
    return unusable(key, key_path);
  }
  if (!loaded || SSL_CTX_check_private_key(context) != 1) {
    return fail(Code::invalid_field, key + " " + key_path + " does not fit the certificate " + certificate_path);
  }
  return made;
}

Result<std::shared_ptr<const TlsContext>> TlsContext::make_client(const std::string& ca_path) {
  const std::string authorities = "the file of trusted certificates";
  if (!ca_path.empty()) {
    if (const Status status = readable(authorities, ca_path); !status.ok()) {
      return status.error();
    }
  }
  ERR_clear_error();
  const std::shared_ptr<const TlsContext> made(new TlsContext(SSL_CTX_new(TLS_client_method())));
  SSL_CTX* const context = made->context_;
  if (context == nullptr || !configure(context)) {
    return fail(Code::internal, "TLS cannot be set up: " + std::string(tls_failure()));
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  const int loaded = ca_path.empty() ? SSL_CTX_set_default_verify_paths(context)
                                     : SSL_CTX_load_verify_file(context, ca_path.c_str());
  if (loaded != 1) {
    return unusable(authorities, ca_path);
  }
  return made;
}

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

std::string TlsContext::subject() const {
  char text[256] = {};
  X509_NAME_oneline(X509_get_subject_name(SSL_CTX_get0_certificate(context_)), text, sizeof text);
  return text;
}

int64_t TlsContext::expires_at() const {
  std::tm time{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(SSL_CTX_get0_certificate(context_)), &time) != 1) {
    return 0;
  }
  return ::timegm(&time);
}

std::string_view tls_failure() {
  const char* const reason = ERR_reason_error_string(ERR_peek_error());  // the first one: what lies below
  return reason == nullptr ? std::string_view() : std::string_view(reason);
}

}  // namespace tidemark
