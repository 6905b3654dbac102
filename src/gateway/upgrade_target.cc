#include "gateway/upgrade_target.h"

#include "command/table.h"
#include "core/ids.h"

namespace tidemark::gateway {
namespace {

constexpr size_t kConversationsMax = 1000;

Status take(UpgradeTarget& target, const std::string& name, std::string value) {
  if (name == "token") {
    target.token = std::move(value);
  } else if (name == "device_id") {
    if (!is_valid_id(value)) {
      return invalid_field("device_id", "an id is 1 to 128 bytes of UTF-8 without control characters");
    }
    target.device = std::move(value);
  } else if (name == "session_id") {
    if (value.empty()) {
      return invalid_field("session_id", "must not be empty");
    }
    target.session = std::move(value);
  } else if (name == "conversation_id") {
    if (!is_valid_id(value) || target.conversations.size() >= kConversationsMax) {
      return invalid_field("conversation_id", "an id of a conversation, at most 1000 times");
    }
    target.conversations.push_back(std::move(value));
  } else if (name == "replay") {
    if (value != "0" && value != "1") {
      return invalid_field("replay", "must be 0 or 1");
    }
    target.replay = value == "1";
  } else if (name == "ack") {
    if (value != "auto" && value != "client") {
      return invalid_field("ack", "must be auto or client");
    }
    target.ack_auto = value == "auto";
  } else if (name == "dialect") {
    if (value != "events") {
      return invalid_field("dialect", "must be events");
    }
    target.events = true;
  }
  return {};
}

}  // namespace

Result<UpgradeTarget> parse_upgrade_target(std::string_view text) {
  UpgradeTarget target;
  const size_t question = text.find('?');
  const auto path = command::percent_decode(text.substr(0, question), false);
  if (!path) {
    return fail(Code::not_found);
  }
  target.path = *path;
  std::string_view query = question == std::string_view::npos ? std::string_view() : text.substr(question + 1);
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const size_t equals = std::min(pair.find('='), pair.size());
    const auto name = command::percent_decode(pair.substr(0, equals), true);
    auto value = command::percent_decode(pair.substr(std::min(equals + 1, pair.size())), true);
    if (!name || !value) {
      return invalid_field(pair.substr(0, equals), "a broken escape");
    }
    if (const Status taken = take(target, *name, std::move(*value)); !taken.ok()) {
      return taken.error();
    }
  }
  return target;
}

}  // namespace tidemark::gateway
