// The event dialect: {"event": …, "data": …}, for clients that were written in that style (docs/protocol.md, section
// "The event dialect"). The same commands, the same log, the same replay; only the clothes differ. Pure.
//
// Outbound every native frame has one translation. Inbound an event becomes the native frame that says the same, which
// then goes the native way: so there is nothing that only one dialect may do.
#pragma once

#include <simdjson.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"

namespace tidemark::gateway::events {

inline constexpr std::string_view kProtocol = "tidemark.events.v1";

// A native frame as this dialect has it. `aside` of a message in a direct conversation names its receiver
// (conversation/encode.h); without one a message is a group's. For stream::Frame::translated().
std::string from_native(std::string_view frame, std::string_view aside);

// What has to be remembered of a command until it is answered.
struct Said {
  std::string_view event;  // a send_* event or user_typing; empty for all others, whose names are the native ones
  std::string echo;        // members of the data as they were sent, for `message_sent`; only of the send_* events
  bool has_id = false;     // `echo` has one
  // Fields as the client named them, each with its native name; of events that have names of their own.
  std::vector<std::pair<std::string_view, std::string_view>> fields;
};

struct Command {
  std::string native;  // a JSON object
  Said said;
};

// missing_field or invalid_field for what has no native form. All else is checked as every native frame is.
Result<Command> to_native(simdjson::dom::object frame);

// What the client calls the native field that an error names.
std::string_view field_name(const Said& said, std::string_view native_field);

// The answer to a send_* event: the data as sent and the members of the native `sent`.
std::string message_sent(const Said& said, std::string_view sent_members);

}  // namespace tidemark::gateway::events
