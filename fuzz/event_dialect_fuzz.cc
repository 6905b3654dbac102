// The event dialect: an event becomes a native frame that is JSON, and every native frame an event that is.
#include <string>

#include "core/json.h"
#include "fuzz.h"
#include "gateway/event_dialect.h"

namespace tidemark::gateway::events {
namespace {

constexpr size_t kDepth = 32;

bool is_object(std::string_view json) {
  simdjson::dom::parser parser;
  const auto parsed = parse_json(parser, json, kDepth + 4);
  return parsed.ok() && parsed->is_object();
}

}  // namespace

FUZZ_TARGET(event_dialect, bytes) {
  simdjson::dom::parser parser;
  const auto parsed = parse_json(parser, bytes, kDepth);
  simdjson::dom::object object;
  if (!parsed.ok() || parsed->get_object().get(object) != simdjson::SUCCESS) {
    return;
  }
  const auto command = to_native(object);
  if (!command.ok()) {
    TIDEMARK_CHECK(!command.error().field.empty() || command.error().code != Code::missing_field);
    return;
  }
  TIDEMARK_CHECK(is_object(command->native));
  TIDEMARK_CHECK(is_object(message_sent(command->said, R"("conversation_id":"c","message_id":"c.1","seq":1)")));
  for (const std::string_view field : {"to", "conversation_id", "content", "content_type", "data", "id", "x"}) {
    TIDEMARK_CHECK(!field_name(command->said, field).empty());
  }
}

}  // namespace tidemark::gateway::events
