#include "conversation/model.h"

#include <gtest/gtest.h>

namespace tidemark::conversation {
namespace {

TEST(Role, IsNamedBothWays) {
  for (const Role role : {Role::member, Role::admin, Role::owner}) {
    EXPECT_EQ(role_named(name_of(role)), role);
  }
  EXPECT_EQ(role_named("Owner"), std::nullopt);
  EXPECT_EQ(role_named(""), std::nullopt);
  EXPECT_LT(Role::member, Role::admin);
  EXPECT_LT(Role::admin, Role::owner);
}

TEST(MessageId, NamesItsConversationAndEntry) {
  const ConversationId conversation("with.dots");
  EXPECT_EQ(message_id(conversation, 42), "with.dots.42");
  const auto ref = parse_message_id("with.dots.42");
  ASSERT_TRUE(ref.has_value());
  EXPECT_EQ(ref->conversation, conversation);
  EXPECT_EQ(ref->seq, 42);
  EXPECT_EQ(parse_message_id("c.9223372036854775807")->seq, INT64_MAX);
}

TEST(MessageId, RefusesWhatIsNone) {
  for (const char* const text : {"", ".", "c", "c.", ".1", "c.0", "c.-1", "c.+1", "c.1x", "c. 1", "c.1.",
                                 "c.9223372036854775808", "\x07.1", "\xff.1"}) {
    EXPECT_EQ(parse_message_id(text).has_value(), false) << text;
  }
  EXPECT_FALSE(parse_message_id(std::string(129, 'x') + ".1").has_value());
  EXPECT_TRUE(parse_message_id(std::string(128, 'x') + ".1").has_value());
}

TEST(DirectId, IsTheSameFromBothSides) {
  const UserKey alice(TenantId("t"), UserId("alice"));
  const UserKey bob(TenantId("t"), UserId("bob"));
  EXPECT_EQ(direct_id(alice, bob.user), direct_id(bob, alice.user));
  EXPECT_EQ(direct_id(alice, alice.user), direct_id(alice, alice.user));
  EXPECT_TRUE(is_valid_id(direct_id(alice, bob.user).str()));
}

TEST(DirectId, DiffersForOtherPairsAndTenants) {
  const auto id = [](const char* tenant, const char* one, const char* other) {
    return direct_id(UserKey(TenantId(tenant), UserId(one)), UserId(other));
  };
  EXPECT_NE(id("t", "alice", "bob"), id("t2", "alice", "bob"));
  EXPECT_NE(id("t", "alice", "bob"), id("t", "alice", "alice"));
  EXPECT_NE(id("t", "ab", "c"), id("t", "a", "bc"));
  EXPECT_NE(id("t", "a", "b"), id("ta", "", "b"));
}

}  // namespace
}  // namespace tidemark::conversation
