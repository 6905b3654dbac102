// What Redis, or somebody in its place, sends: replies do not depend on where the stream is cut, none is larger or
// deeper than it may be, and what comes over the bus is read or refused.
#include <string>
#include <variant>
#include <vector>

#include "bus/envelope.h"
#include "bus/redis_reply.h"
#include "fuzz.h"

namespace tidemark::bus {
namespace {

constexpr size_t kReplyBytesMax = 64 * 1024;
constexpr int kDepthMax = 9;  // eight arrays, and what is in the last

// A form that tells two replies apart, and counts what the reply takes.
void describe(const Reply& reply, int depth, std::string& out, size_t& bytes) {
  TIDEMARK_CHECK(depth <= kDepthMax);
  TIDEMARK_CHECK(reply.elements.empty() || reply.is(Reply::Kind::array));
  out += static_cast<char>('a' + static_cast<int>(reply.kind));
  out += std::to_string(reply.integer) + "," + std::to_string(reply.text.size()) + ":" + reply.text;
  bytes += reply.text.size() + reply.elements.size() * sizeof(Reply);
  for (const Reply& element : reply.elements) {
    describe(element, depth + 1, out, bytes);
  }
}

void check_message(std::string_view bytes) {
  const auto read = unwrap(bytes);
  if (const auto* message = std::get_if<Message>(&read)) {
    TIDEMARK_CHECK(message->payload.size() <= kPayloadBytesMax);
    TIDEMARK_CHECK(wrap({std::string(message->node), message->boot}, message->payload) == bytes);
  }
}

// The replies up to where the stream is no RESP any more.
std::string read(std::string_view bytes, fuzz::Cuts* cuts) {
  ReplyReader reader(kReplyBytesMax);
  std::string out;
  while (!bytes.empty()) {
    const size_t piece = cuts == nullptr ? bytes.size() : cuts->next(bytes.size());
    const Status status = reader.read(bytes.substr(0, piece), [&out](const Reply& reply) {
      size_t size = 0;
      describe(reply, 1, out, size);
      TIDEMARK_CHECK(size <= kReplyBytesMax);
      TIDEMARK_CHECK(!error_of(reply).text.empty());
      if (reply.elements.size() == 3) {
        check_message(reply.elements[2].text);
      }
      return true;
    });
    if (!status.ok()) {
      break;
    }
    bytes.remove_prefix(piece);
  }
  return out;
}

}  // namespace

FUZZ_TARGET(redis_reply, bytes) {
  fuzz::Choices choices(bytes);
  fuzz::Cuts cuts(choices.number(4));
  check_message(bytes);
  if (bytes.size() <= kReplyBytesMax / 2) {  // beyond, the limit depends on what has come
    TIDEMARK_CHECK(read(bytes, nullptr) == read(bytes, &cuts));
  }
}

}  // namespace tidemark::bus
