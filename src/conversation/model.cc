#include "conversation/model.h"

#include <charconv>

#include "core/uuid.h"

namespace tidemark::conversation {

std::string_view name_of(Role role) {
  switch (role) {
    case Role::member: return "member";
    case Role::admin: return "admin";
    case Role::owner: return "owner";
  }
  return "member";
}

std::optional<Role> role_named(std::string_view name) {
  for (const Role role : {Role::member, Role::admin, Role::owner}) {
    if (name == name_of(role)) {
      return role;
    }
  }
  return std::nullopt;
}

std::string message_id(const ConversationId& conversation, int64_t seq) {
  return conversation.str() + '.' + std::to_string(seq);
}

std::optional<MessageRef> parse_message_id(std::string_view id) {
  const size_t dot = id.rfind('.');
  if (dot == std::string_view::npos || dot == 0) {
    return std::nullopt;
  }
  MessageRef ref;
  ref.conversation = ConversationId(std::string(id.substr(0, dot)));
  const std::string_view digits = id.substr(dot + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), ref.seq);
  if (error != std::errc() || end != digits.data() + digits.size() || ref.seq < 1 || !is_valid_id(ref.conversation.str())) {
    return std::nullopt;
  }
  return ref;
}

ConversationId direct_id(const UserKey& one, const UserId& other) {
  const bool ordered = one.user <= other;
  const std::string& first = ordered ? one.user.str() : other.str();
  const std::string& second = ordered ? other.str() : one.user.str();
  return ConversationId(make_uuid8({"direct", one.tenant.str(), first, second}).str());
}

}  // namespace tidemark::conversation
