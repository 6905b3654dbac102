#include "core/ids.h"

#include <gtest/gtest.h>

#include <string>
#include <type_traits>
#include <unordered_set>

namespace tidemark {
namespace {

TEST(Ids, AreTakenFrom1To128Bytes) {
  EXPECT_FALSE(is_valid_id(""));
  EXPECT_TRUE(is_valid_id("a"));
  EXPECT_TRUE(is_valid_id(std::string(128, 'x')));
  EXPECT_FALSE(is_valid_id(std::string(129, 'x')));
}

TEST(Ids, CountBytesNotCharacters) {
  std::string umlauts;
  for (int i = 0; i < 64; ++i) {
    umlauts += "\xc3\xa4";
  }
  EXPECT_TRUE(is_valid_id(umlauts));
  EXPECT_FALSE(is_valid_id(umlauts + "a"));
}

TEST(Ids, HaveNoControlCharacters) {
  for (int c = 0; c < 0x20; ++c) {
    EXPECT_FALSE(is_valid_id("a" + std::string(1, static_cast<char>(c)))) << c;
  }
  EXPECT_TRUE(is_valid_id(" ~"));
  EXPECT_FALSE(is_valid_id("a\x7f"));
  EXPECT_FALSE(is_valid_id("\xc2\x80"));
  EXPECT_FALSE(is_valid_id("a\xc2\x9f"));
  EXPECT_TRUE(is_valid_id("\xc2\xa0"));      // the first after C1
  EXPECT_TRUE(is_valid_id("\xe2\x82\x80"));  // 82 and 80 within a longer character are no C1
}

TEST(Ids, AreUtf8) {
  EXPECT_TRUE(is_valid_id("\xf0\x9f\x98\x80"));
  EXPECT_FALSE(is_valid_id("\xff"));
  EXPECT_FALSE(is_valid_id("a\xc2"));
  EXPECT_FALSE(is_valid_id("\xc0\xaf"));
  EXPECT_FALSE(is_valid_id("\xed\xa0\x80"));
}

TEST(Ids, AreDistinctTypes) {
  EXPECT_FALSE((std::is_convertible_v<UserId, DeviceId>));
  EXPECT_FALSE((std::is_constructible_v<UserId, DeviceId>));
  EXPECT_FALSE((std::is_convertible_v<std::string, UserId>));
}

TEST(Ids, TheSameUserInTwoTenantsIsTwoUsers) {
  const UserKey one{TenantId("t1"), UserId("alice")};
  const UserKey other{TenantId("t2"), UserId("alice")};
  EXPECT_NE(one, other);
  EXPECT_EQ(one, (UserKey{TenantId("t1"), UserId("alice")}));
  EXPECT_NE(std::hash<UserKey>{}(one), std::hash<UserKey>{}(other));
}

TEST(Ids, ThePairsHashDependsOnWhereTheFirstEnds) {
  EXPECT_NE(hash_pair("ab", "c"), hash_pair("a", "bc"));
  EXPECT_NE(hash_pair("a", "b"), hash_pair("b", "a"));
  EXPECT_NE(hash_pair("a", "a"), hash_pair("b", "b"));
}

TEST(Ids, ThePairsHashSpreads) {
  std::unordered_set<size_t> hashes;
  for (int tenant = 0; tenant < 100; ++tenant) {
    for (int user = 0; user < 100; ++user) {
      hashes.insert(hash_pair("t" + std::to_string(tenant), "u" + std::to_string(user)));
    }
  }
  EXPECT_EQ(hashes.size(), 10000u);
}

}  // namespace
}  // namespace tidemark
