#include "document/access.h"

#include <gtest/gtest.h>

namespace tidemark::document {
namespace {

command::Caller caller(const std::string& user, bool service = false) {
  command::Caller caller;
  caller.user = UserId(user);
  caller.service = service;
  return caller;
}

Permissions permissions() {
  Permissions permissions;
  permissions.owner = "olga";
  permissions.editors = {"ed", "eve"};
  permissions.viewers = {"vic", "ed"};
  return permissions;
}

TEST(DocumentAccess, TheHighestRightCounts) {
  const Access access(permissions());
  EXPECT_EQ(access.of("olga"), Right::own);
  EXPECT_EQ(access.of("ed"), Right::write);
  EXPECT_EQ(access.of("eve"), Right::write);
  EXPECT_EQ(access.of("vic"), Right::read);
  EXPECT_EQ(access.of("sam"), Right::none);
}

TEST(DocumentAccess, PublicLetsEverybodyRead) {
  Permissions open = permissions();
  open.is_public = true;
  EXPECT_EQ(Access(open).of("sam"), Right::read);
  EXPECT_EQ(Access(open).of("ed"), Right::write);
}

TEST(DocumentAccess, AServiceIsBoundByTheUserItNames) {
  const Access access(permissions());
  EXPECT_EQ(access.of(caller("", true)), Right::own);
  EXPECT_EQ(access.of(caller("vic", true)), Right::read);
  EXPECT_EQ(access.of(caller("")), Right::none) << "nobody is not everybody";
}

TEST(DocumentAccess, AnOwnerlessDocumentIsNobodys) {
  EXPECT_EQ(Access(Permissions()).of(""), Right::none);
  EXPECT_EQ(Access().of("olga"), Right::none);
}

TEST(DocumentAccess, WhoMayNotReadLearnsNothing) {
  const Access access(permissions());
  EXPECT_TRUE(access.check(caller("olga"), Right::own).ok());
  EXPECT_EQ(access.check(caller("ed"), Right::own).error().code, Code::forbidden);
  EXPECT_EQ(access.check(caller("vic"), Right::write).error().code, Code::forbidden);
  EXPECT_EQ(access.check(caller("sam"), Right::read).error().code, Code::not_found);
  EXPECT_EQ(access.check(caller("sam"), Right::own).error().code, Code::not_found);
}

}  // namespace
}  // namespace tidemark::document
