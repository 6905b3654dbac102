// ServerCertificate: what a gRPC server shows and whom it trusts, replaceable while the servers run.
//
// gRPC takes new certificates from files only, which it looks at once a second, and it would take a pair that does not
// fit. So its "files" are memory of this process, and what is put there has been checked.
// Owner: the thread that made it. It lives longer than the servers.
#pragma once

#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>

#include "core/result.h"
#include "core/tls_context.h"

namespace tidemark::rpc {

// Paths of PEM files.
struct CertificateFiles {
  std::string certificate;  // with the chain behind it
  std::string key;          // without a password
  std::string client_ca;    // empty: clients need no certificate
};

class ServerCertificate {
 public:
  // Waits for the disk. Errors say which file is wrong and why.
  static Result<std::unique_ptr<ServerCertificate>> make(const CertificateFiles& files);
  ~ServerCertificate();
  ServerCertificate(const ServerCertificate&) = delete;
  ServerCertificate& operator=(const ServerCertificate&) = delete;

  // What was read and checked, to be put in force later.
  struct Checked {
    std::string pem;  // key and chain
    std::string client_ca;
    std::shared_ptr<const TlsContext> context;  // for the log
  };
  static Result<Checked> check(const CertificateFiles& files);
  // Connections that are made later than about two seconds from now see it. An error: the system has no memory.
  Status replace(const Checked& checked);

  std::shared_ptr<grpc::ServerCredentials> credentials() const;

 private:
  ServerCertificate() = default;

  int pem_ = -1;        // descriptors of memory
  int client_ca_ = -1;  // -1: none
};

}  // namespace tidemark::rpc
