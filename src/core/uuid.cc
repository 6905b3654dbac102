#include "core/uuid.h"

#include <openssl/sha.h>

#include <algorithm>

namespace tidemark {
namespace {

void set_version(Uuid& uuid, int version) {
  uuid.bytes[6] = static_cast<unsigned char>((uuid.bytes[6] & 0x0f) | version << 4);
  uuid.bytes[8] = static_cast<unsigned char>((uuid.bytes[8] & 0x3f) | 0x80);
}

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
  std::string text;
  for (const std::string_view part : parts) {
    text += std::to_string(part.size());
    text += ':';
    text += part;
  }
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  Uuid uuid;
  std::copy_n(digest, uuid.bytes.size(), uuid.bytes.begin());
  set_version(uuid, 8);
  return uuid;
}

}  // namespace tidemark
