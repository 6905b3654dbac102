#include "rpc/calls.h"

#include <gtest/gtest.h>

namespace tidemark::rpc {
namespace {

command::Caller caller(std::string user, bool service, bool admin) {
  command::Caller caller;
  caller.tenant = TenantId("t");
  caller.user = UserId(std::move(user));
  caller.service = service;
  caller.admin = admin;
  return caller;
}

TEST(ActAs, AUserActsForItselfOnly) {
  const command::Caller alice = caller("alice", false, false);
  EXPECT_EQ(act_as(alice, "user_id", "")->user.str(), "alice");
  EXPECT_EQ(act_as(alice, "user_id", "alice")->user.str(), "alice");
  EXPECT_FALSE(act_as(alice, "user_id", "alice")->service);
  const auto refused = act_as(alice, "user_id", "bob");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::forbidden);
  EXPECT_EQ(refused.error().field, "user_id");
}

TEST(ActAs, ServiceAndAdminActForWhomTheyName) {
  for (const command::Caller& one : {caller("", true, false), caller("root", false, true), caller("", true, true)}) {
    EXPECT_EQ(act_as(one, "user_id", "bob")->user.str(), "bob");
    const auto everybody = act_as(one, "user_id", "");
    EXPECT_TRUE(everybody->user.empty());
    EXPECT_TRUE(everybody->service) << "whoever names nobody is bound by nobody's rights";
    EXPECT_EQ(scope_of(one), UserKey(TenantId("t"), UserId()));
  }
  EXPECT_EQ(scope_of(caller("alice", false, false)), UserKey(TenantId("t"), UserId("alice")));
}

TEST(ActAs, WhoIsNamedHasToBeAnId) {
  for (const char* wrong : {"a\nb", "\xff", "\x7f"}) {
    EXPECT_EQ(act_as(caller("", true, false), "user_id", wrong).error().code, Code::invalid_field);
  }
  EXPECT_FALSE(act_as(caller("", true, false), "user_id", std::string(129, 'x')).ok());
  EXPECT_TRUE(act_as(caller("", true, false), "user_id", std::string(128, 'x')).ok());
}

TEST(Checks, OneBelowAndOneAboveTheLimit) {
  EXPECT_EQ(check_object_id("doc_id", "").error().code, Code::missing_field);
  EXPECT_TRUE(check_object_id("doc_id", std::string(128, 'x')).ok());
  EXPECT_EQ(check_object_id("doc_id", std::string(129, 'x')).error().code, Code::invalid_field);
  EXPECT_TRUE(check_text("reason", "", 3).ok());
  EXPECT_TRUE(check_text("reason", "abc", 3).ok());
  EXPECT_FALSE(check_text("reason", "abcd", 3).ok());
  EXPECT_TRUE(check_key("id", std::string(64, 'x')).ok());
  EXPECT_FALSE(check_key("id", std::string(65, 'x')).ok());
  std::string umlauts;
  for (int i = 0; i < 64; ++i) {
    umlauts += "ä";
  }
  EXPECT_TRUE(check_key("id", umlauts).ok()) << "characters count, not bytes";
  EXPECT_FALSE(check_key("id", umlauts + "ä").ok());
}

}  // namespace
}  // namespace tidemark::rpc
