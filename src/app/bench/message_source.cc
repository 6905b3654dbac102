#include "app/bench/message_source.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <tuple>

#include "core/json.h"
#include "core/uuid.h"

namespace tidemark::app {
namespace {

// "0000000042 0000123456789012345 ......"
constexpr size_t kNumberDigits = 10;
constexpr size_t kTimeDigits = 19;
constexpr size_t kTimeAt = kNumberDigits + 1;
constexpr size_t kFillerAt = kTimeAt + kTimeDigits + 1;
static_assert(kFillerAt < kPayloadBytesMin);
constexpr char kFiller = '.';

void write_digits(char* out, size_t digits, uint64_t number) {
  for (size_t i = digits; i-- > 0; number /= 10) {
    out[i] = static_cast<char>('0' + number % 10);
  }
}

bool read_digits(std::string_view digits, uint64_t& number) {
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return parsed.ec == std::errc() && parsed.ptr == digits.data() + digits.size();
}

void write_stamp_at(char* content, const Stamp& stamp) {
  write_digits(content, kNumberDigits, stamp.number);
  write_digits(content + kTimeAt, kTimeDigits, static_cast<uint64_t>(stamp.due.time_since_epoch().count()));
}

}  // namespace

std::string stamped_content(const Stamp& stamp, size_t payload_bytes) {
  TIDEMARK_CHECK(payload_bytes >= kPayloadBytesMin);
  std::string content(payload_bytes, kFiller);
  content[kNumberDigits] = ' ';
  content[kFillerAt - 1] = ' ';
  write_stamp_at(content.data(), stamp);
  return content;
}

std::optional<Stamp> read_stamp(std::string_view content, size_t payload_bytes) {
  if (content.size() != payload_bytes || payload_bytes < kPayloadBytesMin || content[kNumberDigits] != ' ' ||
      content[kFillerAt - 1] != ' ' || content.find_first_not_of(kFiller, kFillerAt) != std::string_view::npos) {
    return std::nullopt;
  }
  Stamp stamp;
  uint64_t nanoseconds = 0;
  if (!read_digits(content.substr(0, kNumberDigits), stamp.number) ||
      !read_digits(content.substr(kTimeAt, kTimeDigits), nanoseconds)) {
    return std::nullopt;
  }
  stamp.due = Instant(std::chrono::nanoseconds(nanoseconds));
  return stamp;
}

MessageSource::MessageSource(std::string_view address, std::string_view receiver, size_t payload_bytes, Random& random)
    : random_(random) {
  const std::string id(make_uuid7(SystemClock(), random).str().size(), '-');
  const std::string content = stamped_content({}, payload_bytes);
  JsonWriter(text_)
      .begin()
      .field("type", "message")
      .field(address, receiver)
      .field("id", id)
      .field("content", content)
      .end();
  content_at_ = text_.size() - 2 - payload_bytes;
  id_at_ = text_.rfind(id);
}

MessageSource::MessageSource(size_t payload_bytes, Random& random)
    : random_(random), text_(stamped_content({}, payload_bytes)) {}

std::string_view MessageSource::next(Instant due) {
  const Stamp stamp{sent_++, due};
  write_stamp_at(&text_[content_at_], stamp);
  if (id_at_ == 0) {
    return text_;
  }
  std::string id = make_uuid7(SystemClock(), random_).str();
  std::memcpy(&text_[id_at_], id.data(), id.size());
  unanswered_.push_back({std::move(id), stamp});
  return text_;
}

// Answers come in the order of the messages, so that the first one is nearly always meant.
Result<std::optional<MessageSource::Answer>> MessageSource::answer(const Incoming& frame) {
  if (frame.type == "error") {
    return refused_by_server(frame);
  }
  if (frame.type != "sent") {
    return std::optional<Answer>();
  }
  const auto found = std::find_if(unanswered_.begin(), unanswered_.end(),
                                  [&frame](const Unanswered& message) { return message.id == frame.id; });
  if (found == unanswered_.end()) {
    return fail(Code::unavailable, "the server answered a message that waits for no answer: " + std::string(frame.id));
  }
  const Answer answer{found->stamp, frame.seq};
  unanswered_.erase(found);
  return std::optional(answer);
}

Result<Incoming> IncomingReader::read(std::string_view frame) {
  simdjson::dom::object object;
  if (parser_.parse(frame.data(), frame.size()).get(object) != simdjson::SUCCESS) {
    return fail(Code::unavailable, "the server sent a frame that is not a JSON object: " + std::string(frame));
  }
  Incoming incoming;
  const struct {
    std::string_view name;
    std::string_view* value;
  } texts[] = {{"type", &incoming.type},
               {"id", &incoming.id},
               {"conversation_id", &incoming.conversation_id},
               {"content", &incoming.content},
               {"user_id", &incoming.user_id},
               {"code", &incoming.code},
               {"error", &incoming.error}};
  for (const auto& [name, value] : object) {
    if (name == "seq") {
      std::ignore = value.get(incoming.seq);
      continue;
    }
    if (name == "is_typing") {
      std::ignore = value.get(incoming.is_typing);
      continue;
    }
    for (const auto& text : texts) {
      if (name == text.name) {
        std::ignore = value.get(*text.value);  // `code` of a bye is a number, which nobody asks for here
        break;
      }
    }
  }
  if (incoming.type.empty()) {
    return fail(Code::unavailable, "the server sent a frame without a type: " + std::string(frame));
  }
  return incoming;
}

Error refused_by_server(const Incoming& frame) {
  std::string text = "the server refused a message: " + std::string(frame.code) + ": " + std::string(frame.error);
  if (frame.code == "rate_limited") {
    text +=
        " (start it with --set limits.messages_per_second=1000000 --set limits.messages_burst=1000000 to measure more)";
  }
  return fail(Code::unavailable, std::move(text));
}

}  // namespace tidemark::app
