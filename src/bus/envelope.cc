#include "bus/envelope.h"

#include "core/ids.h"
#include "core/result.h"

namespace tidemark::bus {
namespace {

constexpr char kVersion = 1;
constexpr size_t kBootBytes = 8;
constexpr size_t kHeadBytes = 1 + kBootBytes + 1;

}  // namespace

std::string wrap(const Identity& sender, std::string_view payload) {
  TIDEMARK_CHECK(is_valid_id(sender.node));
  std::string bytes;
  bytes.reserve(kHeadBytes + sender.node.size() + payload.size());
  bytes += kVersion;
  for (size_t i = 0; i < kBootBytes; ++i) {
    bytes += static_cast<char>(sender.boot >> (8 * (kBootBytes - 1 - i)));
  }
  bytes += static_cast<char>(sender.node.size());
  bytes += sender.node;
  bytes += payload;
  return bytes;
}

std::variant<Message, Unreadable> unwrap(std::string_view bytes) {
  if (bytes.empty()) {
    return Unreadable::malformed;
  }
  if (bytes.front() != kVersion) {
    return Unreadable::version;
  }
  if (bytes.size() < kHeadBytes) {
    return Unreadable::malformed;
  }
  Message message;
  for (size_t i = 0; i < kBootBytes; ++i) {
    message.boot = message.boot << 8 | static_cast<unsigned char>(bytes[1 + i]);
  }
  const size_t node_bytes = static_cast<unsigned char>(bytes[kHeadBytes - 1]);
  if (bytes.size() < kHeadBytes + node_bytes) {
    return Unreadable::malformed;
  }
  message.node = bytes.substr(kHeadBytes, node_bytes);
  message.payload = bytes.substr(kHeadBytes + node_bytes);
  if (!is_valid_id(message.node) || message.payload.size() > kPayloadBytesMax) {
    return Unreadable::malformed;
  }
  return message;
}

}  // namespace tidemark::bus
