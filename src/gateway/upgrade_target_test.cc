#include "gateway/upgrade_target.h"

#include <gtest/gtest.h>

namespace tidemark::gateway {
namespace {

std::string refused_field(std::string_view text) {
  const auto target = parse_upgrade_target(text);
  if (target.ok()) {
    return "taken";
  }
  EXPECT_EQ(target.error().code, Code::invalid_field) << text;
  return target.error().field;
}

TEST(UpgradeTarget, HasItsDefaultsWithoutAQuery) {
  for (const char* const text : {"/ws", "/ws?", "/ws?&&", "/ws?unknown=1&&other"}) {
    const auto target = parse_upgrade_target(text);
    ASSERT_TRUE(target.ok()) << text;
    EXPECT_EQ(target->path, "/ws");
    EXPECT_EQ(target->token, "");
    EXPECT_EQ(target->device, "");
    EXPECT_EQ(target->session, "");
    EXPECT_TRUE(target->conversations.empty());
    EXPECT_TRUE(target->replay);
    EXPECT_EQ(target->ack_auto, std::nullopt);
  }
}

TEST(UpgradeTarget, TakesEveryParameter) {
  const auto target = parse_upgrade_target(
      "/api/v1/ws/connect?token=a.b-c_d&device_id=my%20phone&session_id=s1&conversation_id=c1&conversation_id=c%26d"
      "&replay=0&ack=auto");
  ASSERT_TRUE(target.ok());
  EXPECT_EQ(target->path, "/api/v1/ws/connect");
  EXPECT_EQ(target->token, "a.b-c_d");
  EXPECT_EQ(target->device, "my phone");
  EXPECT_EQ(target->session, "s1");
  EXPECT_EQ(target->conversations, (std::vector<std::string>{"c1", "c&d"}));
  EXPECT_FALSE(target->replay);
  EXPECT_EQ(target->ack_auto, true);
  EXPECT_EQ(parse_upgrade_target("/ws?ack=client&replay=1")->ack_auto, false);
}

TEST(UpgradeTarget, DecodesNamesAndValues) {
  EXPECT_EQ(parse_upgrade_target("/ws?device%5fid=a+b%2Bc")->device, "a b+c");
  EXPECT_EQ(parse_upgrade_target("/ws?device_id=a=b")->device, "a=b");
  EXPECT_EQ(parse_upgrade_target("/w%73")->path, "/ws");
  EXPECT_EQ(parse_upgrade_target("/ws?device_id=a?b")->device, "a?b");
}

TEST(UpgradeTarget, NamesTheParameterThatIsWrong) {
  EXPECT_EQ(refused_field("/ws?device_id="), "device_id");
  EXPECT_EQ(refused_field("/ws?device_id"), "device_id");
  EXPECT_EQ(refused_field("/ws?device_id=%07"), "device_id");
  EXPECT_EQ(refused_field("/ws?device_id=%ff"), "device_id");
  EXPECT_EQ(refused_field("/ws?device_id=" + std::string(129, 'x')), "device_id");
  EXPECT_EQ(refused_field("/ws?device_id=" + std::string(128, 'x')), "taken");
  EXPECT_EQ(refused_field("/ws?session_id="), "session_id");
  EXPECT_EQ(refused_field("/ws?conversation_id=a&conversation_id="), "conversation_id");
  EXPECT_EQ(refused_field("/ws?replay=true"), "replay");
  EXPECT_EQ(refused_field("/ws?ack=none"), "ack");
  EXPECT_EQ(refused_field("/ws?ack="), "ack");
}

TEST(UpgradeTarget, RefusesBrokenEscapes) {
  EXPECT_EQ(refused_field("/ws?device_id=%zz"), "device_id");
  EXPECT_EQ(refused_field("/ws?unknown=%4"), "unknown");
  const auto path = parse_upgrade_target("/ws%zz");
  ASSERT_FALSE(path.ok());
  EXPECT_EQ(path.error().code, Code::not_found);
}

TEST(UpgradeTarget, RefusesOneConversationTooMany) {
  std::string text = "/ws?";
  for (int i = 0; i < 1000; ++i) {
    text += "conversation_id=c" + std::to_string(i) + "&";
  }
  const auto target = parse_upgrade_target(text);
  ASSERT_TRUE(target.ok());
  EXPECT_EQ(target->conversations.size(), 1000u);
  EXPECT_EQ(refused_field(text + "conversation_id=one-more"), "conversation_id");
}

}  // namespace
}  // namespace tidemark::gateway
