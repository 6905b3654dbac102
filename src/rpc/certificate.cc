#include "rpc/certificate.h"

#include <fcntl.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/ssl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "core/log.h"

namespace tidemark::rpc {
namespace {

constexpr unsigned kLookEverySeconds = 1;

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) {
    return fail(Code::not_found, path + " cannot be read");
  }
  return text.str();
}

// Puts `text` where `descriptor` points to: at once, so that nobody reads a half.
Status put(int& descriptor, const std::string& text) {
  const int fresh = ::memfd_create("tidemark-certificate", MFD_CLOEXEC);
  if (fresh < 0) {
    return fail(Code::unavailable, std::string("no memory for a certificate: ") + std::strerror(errno));
  }
  if (::write(fresh, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    const int reason = errno;
    ::close(fresh);
    return fail(Code::unavailable, std::string("no memory for a certificate: ") + std::strerror(reason));
  }
  if (descriptor < 0) {
    descriptor = fresh;
    return {};
  }
  ::dup3(fresh, descriptor, O_CLOEXEC);
  ::close(fresh);
  return {};
}

std::string path_of(int descriptor) { return "/proc/self/fd/" + std::to_string(descriptor); }

}  // namespace

Result<ServerCertificate::Checked> ServerCertificate::check(const CertificateFiles& files) {
  Checked checked;
  auto context = TlsContext::make(files.certificate, files.key);
  if (!context.ok()) {
    return context.error();
  }
  checked.context = std::move(*context);
  const auto key = read_file(files.key);
  const auto chain = read_file(files.certificate);
  if (!key.ok() || !chain.ok()) {
    return key.ok() ? chain.error() : key.error();
  }
  checked.pem = *key + "\n" + *chain;
  if (files.client_ca.empty()) {
    return checked;
  }
  auto authorities = read_file(files.client_ca);
  if (!authorities.ok()) {
    return authorities.error();
  }
  STACK_OF(X509_NAME)* const names = SSL_load_client_CA_file(files.client_ca.c_str());
  if (names == nullptr) {
    return fail(Code::invalid_field, files.client_ca + " holds no certificate");
  }
  sk_X509_NAME_pop_free(names, X509_NAME_free);
  checked.client_ca = std::move(*authorities);
  return checked;
}

Result<std::unique_ptr<ServerCertificate>> ServerCertificate::make(const CertificateFiles& files) {
  const auto checked = check(files);
  if (!checked.ok()) {
    return checked.error();
  }
  std::unique_ptr<ServerCertificate> made(new ServerCertificate);
  if (const Status put_there = made->replace(*checked); !put_there.ok()) {
    return put_there.error();
  }
  return made;
}

ServerCertificate::~ServerCertificate() {
  for (const int descriptor : {pem_, client_ca_}) {
    if (descriptor >= 0) {
      ::close(descriptor);
    }
  }
}

Status ServerCertificate::replace(const Checked& checked) {
  if (const Status done = put(pem_, checked.pem); !done.ok()) {
    return done;
  }
  log_info("rpc.certificate", {{"subject", checked.context->subject()}, {"expires_at", checked.context->expires_at()}});
  return checked.client_ca.empty() ? Status() : put(client_ca_, checked.client_ca);
}

std::shared_ptr<grpc::ServerCredentials> ServerCertificate::credentials() const {
  using grpc::experimental::FileWatcherCertificateProvider;
  const std::string pem = path_of(pem_);
  const auto provider = client_ca_ < 0 ? std::make_shared<FileWatcherCertificateProvider>(pem, pem, kLookEverySeconds)
                                       : std::make_shared<FileWatcherCertificateProvider>(pem, pem, path_of(client_ca_),
                                                                                          kLookEverySeconds);
  grpc::experimental::TlsServerCredentialsOptions options(provider);
  options.watch_identity_key_cert_pairs();
  if (client_ca_ >= 0) {
    options.watch_root_certs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return grpc::experimental::TlsServerCredentials(options);
}

}  // namespace tidemark::rpc
