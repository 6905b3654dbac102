// Ids as distinct types: a DeviceId cannot be passed where a UserId is meant.
//
// Ids of users, devices and conversations are 1 to 128 bytes of UTF-8 without control characters (is_valid_id).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "core/shared_text.h"

namespace tidemark {

template <class Tag>
class NamedId {
 public:
  NamedId() = default;
  explicit NamedId(SharedText text) : text_(std::move(text)) {}
  explicit NamedId(std::string text) : text_(std::move(text)) {}

  const std::string& str() const { return text_.str(); }
  const SharedText& shared() const { return text_; }
  bool empty() const { return text_.empty(); }
  friend bool operator==(const NamedId&, const NamedId&) = default;
  friend auto operator<=>(const NamedId&, const NamedId&) = default;

 private:
  SharedText text_;
};

using TenantId = NamedId<struct TenantTag>;
using UserId = NamedId<struct UserTag>;
using DeviceId = NamedId<struct DeviceTag>;
using SessionId = NamedId<struct SessionTag>;
using ConversationId = NamedId<struct ConversationTag>;

// 1 to 128 bytes of valid UTF-8 without control characters (C0, DEL, C1).
bool is_valid_id(std::string_view text);
inline constexpr size_t kIdBytesMax = 128;

// The keys below have constructors although aggregates would do: GCC 12 destroys a brace-initialised aggregate twice when
// it is an argument inside a co_await expression.

// A user of a tenant. The same user id in two tenants is two users.
struct UserKey {
  UserKey() = default;
  UserKey(TenantId of_tenant, UserId id) : tenant(std::move(of_tenant)), user(std::move(id)) {}

  TenantId tenant;
  UserId user;
  friend bool operator==(const UserKey&, const UserKey&) = default;
  friend auto operator<=>(const UserKey&, const UserKey&) = default;
};

struct ConversationKey {
  ConversationKey() = default;
  ConversationKey(TenantId of_tenant, ConversationId id) : tenant(std::move(of_tenant)), conversation(std::move(id)) {}

  TenantId tenant;
  ConversationId conversation;
  friend bool operator==(const ConversationKey&, const ConversationKey&) = default;
  friend auto operator<=>(const ConversationKey&, const ConversationKey&) = default;
};

inline size_t hash_pair(std::string_view a, std::string_view b) {
  const size_t first = std::hash<std::string_view>{}(a);
  return (first * 0x9e3779b97f4a7c15ULL) ^ (std::hash<std::string_view>{}(b) + (first >> 7));
}

}  // namespace tidemark

template <class Tag>
struct std::hash<tidemark::NamedId<Tag>> {
  size_t operator()(const tidemark::NamedId<Tag>& id) const { return std::hash<std::string>{}(id.str()); }
};
template <>
struct std::hash<tidemark::UserKey> {
  size_t operator()(const tidemark::UserKey& k) const { return tidemark::hash_pair(k.tenant.str(), k.user.str()); }
};
template <>
struct std::hash<tidemark::ConversationKey> {
  size_t operator()(const tidemark::ConversationKey& k) const {
    return tidemark::hash_pair(k.tenant.str(), k.conversation.str());
  }
};
