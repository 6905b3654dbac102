#include "core/uuid.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <charconv>
#include <memory>

#include "core/result.h"

namespace tidemark {
namespace {

void set_version(Uuid& uuid, int version) {
  uuid.bytes[6] = static_cast<unsigned char>((uuid.bytes[6] & 0x0f) | version << 4);
  uuid.bytes[8] = static_cast<unsigned char>((uuid.bytes[8] & 0x3f) | 0x80);
}

// SHA256() looks its algorithm up under a lock at every call, which takes longer than the hashing.
class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new()) {
    TIDEMARK_CHECK(context_ != nullptr && EVP_DigestInit_ex2(context_.get(), EVP_sha256(), nullptr) == 1);
  }

  void begin() { TIDEMARK_CHECK(EVP_DigestInit_ex2(context_.get(), nullptr, nullptr) == 1); }
  void add(std::string_view bytes) {
    TIDEMARK_CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
  }
  void end(unsigned char* digest) { TIDEMARK_CHECK(EVP_DigestFinal_ex(context_.get(), digest, nullptr) == 1); }

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

}  // namespace

std::string Uuid::str() const {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  text.reserve(36);
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) {
      text += '-';
    }
    text += kHex[bytes[i] >> 4];
    text += kHex[bytes[i] & 15];
  }
  return text;
}

Uuid make_uuid7(const Clock& clock, Random& random) {
  Uuid uuid;
  random.fill(uuid.bytes);
  const auto ms = static_cast<uint64_t>(clock.unix_ms());
  for (int i = 0; i < 6; ++i) {
    uuid.bytes[static_cast<size_t>(i)] = static_cast<unsigned char>(ms >> (40 - 8 * i));
  }
  set_version(uuid, 7);
  return uuid;
}

Uuid make_uuid8(std::initializer_list<std::string_view> parts) {
  thread_local Sha256 hash;
  hash.begin();
  for (const std::string_view part : parts) {
    char size[24];
    char* const end = std::to_chars(size, size + sizeof size, part.size()).ptr;
    *end = ':';
    hash.add({size, static_cast<size_t>(end + 1 - size)});
    hash.add(part);
  }
  unsigned char digest[SHA256_DIGEST_LENGTH];
  hash.end(digest);
  Uuid uuid;
  std::copy_n(digest, uuid.bytes.size(), uuid.bytes.begin());
  set_version(uuid, 8);
  return uuid;
}

}  // namespace tidemark
