// For tests: a self-signed certificate and its key as PEM files in a directory of their own.
#pragma once

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <string>

namespace tidemark {

struct CertificateOptions {
  std::string alternative_names;  // as OpenSSL writes them: "DNS:localhost,IP:127.0.0.1"; empty: none
  int chain = 0;                  // so many times more the certificate stands in its file
};

class CertificateFiles {
 public:
  explicit CertificateFiles(const CertificateOptions& options = {}) {
    std::string name = (std::filesystem::temp_directory_path() / "tidemark-tls-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
    EVP_PKEY* const pair = EVP_EC_gen("P-256");
    X509* const made = X509_new();
    X509_set_version(made, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made), 1);
    X509_gmtime_adj(X509_getm_notBefore(made), 0);
    X509_gmtime_adj(X509_getm_notAfter(made), 3600);
    X509_set_pubkey(made, pair);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
    X509_set_issuer_name(made, X509_get_subject_name(made));
    if (!options.alternative_names.empty()) {
      X509_EXTENSION* const names =
          X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, options.alternative_names.c_str());
      X509_add_ext(made, names, -1);
      X509_EXTENSION_free(names);
    }
    X509_sign(made, pair, EVP_sha256());
    FILE* file = std::fopen(certificate().c_str(), "w");
    for (int i = 0; i <= options.chain; ++i) {
      PEM_write_X509(file, made);
    }
    std::fclose(file);
    file = std::fopen(key().c_str(), "w");
    PEM_write_PrivateKey(file, pair, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
    X509_free(made);
    EVP_PKEY_free(pair);
  }
  ~CertificateFiles() { std::filesystem::remove_all(directory_); }
  CertificateFiles(const CertificateFiles&) = delete;
  CertificateFiles& operator=(const CertificateFiles&) = delete;

  std::string certificate() const { return directory_ + "/cert.pem"; }
  std::string key() const { return directory_ + "/key.pem"; }

 private:
  std::string directory_;
};

}  // namespace tidemark
