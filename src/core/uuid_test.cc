#include "core/uuid.h"

#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <string>

namespace tidemark {
namespace {

TEST(Uuid, IsWrittenInLowerCaseWithHyphens) {
  Uuid uuid;
  for (size_t i = 0; i < uuid.bytes.size(); ++i) {
    uuid.bytes[i] = static_cast<unsigned char>(i * 17);
  }
  EXPECT_EQ(uuid.str(), "00112233-4455-6677-8899-aabbccddeeff");
}

TEST(Uuid, Version7BeginsWithTheMilliseconds) {
  const ManualClock clock;  // 1'700'000'000'000 is 018b cfe5 6800
  SeededRandom random(1);
  const std::string text = make_uuid7(clock, random).str();
  EXPECT_EQ(text.substr(0, 13), "018bcfe5-6800");
  EXPECT_EQ(text[14], '7');
  EXPECT_NE(std::string("89ab").find(text[19]), std::string::npos);
}

TEST(Uuid, Version7SortsByTimeAndDiffersWithinAMillisecond) {
  ManualClock clock;
  SeededRandom random(2);
  std::string before;
  for (int ms = 0; ms < 300; ++ms) {
    const std::string now = make_uuid7(clock, random).str();
    EXPECT_LT(before, now);
    before = now;
    clock.advance(std::chrono::milliseconds(1));
  }
  std::set<std::string> same_time;
  for (int i = 0; i < 1000; ++i) {
    same_time.insert(make_uuid7(clock, random).str());
  }
  EXPECT_EQ(same_time.size(), 1000u);
}

// The bytes are the first 16 of SHA-256("6:direct2:t15:alice3:bob") with version and variant set; a change would split
// every stored direct conversation in two.
TEST(Uuid, Version8IsAFixedFunctionOfItsParts) {
  const Uuid uuid = make_uuid8({"direct", "t1", "alice", "bob"});
  EXPECT_EQ(uuid, make_uuid8({"direct", "t1", "alice", "bob"}));
  EXPECT_EQ(uuid.str(), "cad61c85-8a97-8585-b08c-3af05fdc22ec");
  EXPECT_EQ(uuid.str()[14], '8');
}

TEST(Uuid, Version8TellsApartWhereOnePartEnds) {
  EXPECT_NE(make_uuid8({"ab", "c"}), make_uuid8({"a", "bc"}));
  EXPECT_NE(make_uuid8({"abc"}), make_uuid8({"abc", ""}));
  EXPECT_NE(make_uuid8({"1:a"}), make_uuid8({"", "a"}));
  EXPECT_NE(make_uuid8({"a", "b"}), make_uuid8({"b", "a"}));
}

}  // namespace
}  // namespace tidemark
