// Replies of Redis (RESP2): a value, and a reader that makes values of bytes as they come. hiredis' parser does the
// reading; this is the only file that knows it.
//
// What Redis sends is not trusted: a reply has a largest size in memory, and arrays nest eight deep at most (hiredis'
// own limit).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

struct redisReader;

namespace tidemark::bus {

struct Reply {
  enum class Kind : uint8_t { nil, status, error, integer, text, array };

  Kind kind = Kind::nil;
  int64_t integer = 0;
  std::string text;             // of a status, an error or a text; any bytes
  std::vector<Reply> elements;  // of an array

  bool is(Kind of) const { return kind == of; }
};

// What an error reply means to a caller: `unavailable` where Redis is not able to serve now, else `internal`, for the
// command was wrong.
Error error_of(const Reply& reply);
// The error reply says that Redis has not run the command and that another server, or this one later, would.
bool asks_to_reconnect(const Reply& reply);

// Owner: one connection. After an error it is of no use.
class ReplyReader {
 public:
  static constexpr size_t kReplyBytesMax = 16 * 1024 * 1024;

  explicit ReplyReader(size_t reply_bytes_max = kReplyBytesMax);
  ~ReplyReader();
  ReplyReader(const ReplyReader&) = delete;
  ReplyReader& operator=(const ReplyReader&) = delete;

  // Takes the next bytes of the stream; `each` gets every reply that is whole now, in order, and says whether to go on:
  // after false the rest of the bytes is dropped. An error: no RESP2, or a reply that is too large.
  Status read(std::string_view bytes, const std::function<bool(Reply)>& each);

 private:
  struct Budget {
    size_t reply_bytes_max;
    size_t left;
    bool exceeded;
  };
  friend struct ReplyBuilder;

  Status drain(const std::function<bool(Reply)>& each, bool& go_on);
  Error broken() const;

  Budget budget_;
  std::unique_ptr<redisReader, void (*)(redisReader*)> reader_;
};

}  // namespace tidemark::bus
