#include "bus/redis_reply.h"

#include <hiredis/hiredis.h>

#include <algorithm>

namespace tidemark::bus {

// What hiredis calls to make values. A null result ends the parsing with an error; hiredis then frees the root.
struct ReplyBuilder {
  using Task = const redisReadTask*;
  using Budget = ReplyReader::Budget;

  // Where the value goes: a new root, or its place in the array around it, which was made at its full size. Null: the
  // reply would become larger than it may.
  static Reply* place(Task task, size_t bytes) {
    auto& budget = *static_cast<Budget*>(task->privdata);
    if (task->parent == nullptr) {
      budget.left = budget.reply_bytes_max;
    }
    if (bytes > budget.left) {
      budget.exceeded = true;
      return nullptr;
    }
    budget.left -= bytes;
    if (task->parent == nullptr) {
      return new Reply;
    }
    return &static_cast<Reply*>(task->parent->obj)->elements[static_cast<size_t>(task->idx)];
  }

  static void* text(Task task, char* bytes, size_t size) {
    Reply* const reply = place(task, size);
    if (reply != nullptr) {
      reply->kind = task->type == REDIS_REPLY_ERROR    ? Reply::Kind::error
                    : task->type == REDIS_REPLY_STATUS ? Reply::Kind::status
                                                       : Reply::Kind::text;
      reply->text.assign(bytes, size);
    }
    return reply;
  }
  static void* array(Task task, int size) {
    Reply* const reply = place(task, static_cast<size_t>(size) * sizeof(Reply));
    if (reply != nullptr) {
      reply->kind = Reply::Kind::array;
      reply->elements.resize(static_cast<size_t>(size));
    }
    return reply;
  }
  static void* integer(Task task, long long number) {
    Reply* const reply = place(task, 0);
    reply->kind = Reply::Kind::integer;
    reply->integer = number;
    return reply;
  }
  static void* nil(Task task) { return place(task, 0); }
  static void discard(void* root) { delete static_cast<Reply*>(root); }
};

namespace {

redisReplyObjectFunctions functions = {&ReplyBuilder::text, &ReplyBuilder::array, &ReplyBuilder::integer,
                                       &ReplyBuilder::nil, &ReplyBuilder::discard};

// hiredis moves what is left in its buffer after each KiB of replies: with little in it that is cheap.
constexpr size_t kSliceBytes = 16 * 1024;
constexpr size_t kErrorTextMax = 200;

bool has_code(const Reply& reply, std::initializer_list<std::string_view> codes) {
  const std::string_view first = std::string_view(reply.text).substr(0, reply.text.find(' '));
  return reply.is(Reply::Kind::error) && std::find(codes.begin(), codes.end(), first) != codes.end();
}

}  // namespace

bool asks_to_reconnect(const Reply& reply) { return has_code(reply, {"READONLY", "MASTERDOWN", "LOADING"}); }

Error error_of(const Reply& reply) {
  if (has_code(reply, {"MOVED", "ASK", "CLUSTERDOWN", "CROSSSLOT"})) {
    return fail(Code::unavailable, "redis.url leads to a Redis Cluster, which Tidemark does not follow: " +
                                       reply.text.substr(0, kErrorTextMax));
  }
  const bool later = asks_to_reconnect(reply) ||
                     has_code(reply, {"OOM", "BUSY", "NOAUTH", "NOPERM", "MISCONF", "NOREPLICAS", "TRYAGAIN"});
  return fail(later ? Code::unavailable : Code::internal, "Redis says: " + reply.text.substr(0, kErrorTextMax));
}

ReplyReader::ReplyReader(size_t reply_bytes_max)
    : budget_{reply_bytes_max, reply_bytes_max, false},
      reader_(redisReaderCreateWithFunctions(&functions), &redisReaderFree) {
  TIDEMARK_CHECK(reader_ != nullptr);
  reader_->privdata = &budget_;
}

ReplyReader::~ReplyReader() = default;

Error ReplyReader::broken() const {
  return fail(Code::unavailable,
              budget_.exceeded ? "a reply of Redis is larger than " + std::to_string(budget_.reply_bytes_max) + " bytes"
                               : std::string("what came is no answer of Redis: ") + reader_->errstr);
}

Status ReplyReader::read(std::string_view bytes, const std::function<bool(Reply)>& each) {
  bool go_on = true;
  while (go_on && !bytes.empty()) {
    const std::string_view slice = bytes.substr(0, kSliceBytes);
    bytes.remove_prefix(slice.size());
    if (redisReaderFeed(reader_.get(), slice.data(), slice.size()) != REDIS_OK) {
      return broken();
    }
    if (const Status status = drain(each, go_on); !status.ok()) {
      return status;
    }
  }
  return {};
}

Status ReplyReader::drain(const std::function<bool(Reply)>& each, bool& go_on) {
  while (go_on) {
    void* whole = nullptr;
    if (redisReaderGetReply(reader_.get(), &whole) != REDIS_OK) {
      return broken();
    }
    if (whole == nullptr) {
      break;
    }
    const std::unique_ptr<Reply> reply(static_cast<Reply*>(whole));
    go_on = each(std::move(*reply));
  }
  // A text that is announced longer than it may be is refused before it is here.
  budget_.exceeded = reader_->len - reader_->pos > budget_.reply_bytes_max;
  return budget_.exceeded ? Status(broken()) : Status();
}

}  // namespace tidemark::bus
