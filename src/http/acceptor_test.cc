#include "http/acceptor.h"

#include <gtest/gtest.h>

namespace tidemark::http {
namespace {

TEST(Descriptors, AQuarterIsKeptWhereThereAreFew) {
  EXPECT_EQ(room_at(119, 160), Room::enough);
  EXPECT_EQ(room_at(120, 160), Room::scarce);
  EXPECT_EQ(room_at(139, 160), Room::scarce);
  EXPECT_EQ(room_at(140, 160), Room::nearly_none);
  EXPECT_EQ(room_at(160, 160), Room::nearly_none);
  EXPECT_EQ(room_at(200, 160), Room::nearly_none);
}

TEST(Descriptors, NoMoreThan256AreKeptWhereThereAreMany) {
  EXPECT_EQ(room_at(99'743, 100'000), Room::enough);
  EXPECT_EQ(room_at(99'744, 100'000), Room::scarce);
  EXPECT_EQ(room_at(99'872, 100'000), Room::nearly_none);
  EXPECT_EQ(room_at(1'000'000, SIZE_MAX), Room::enough);
}

}  // namespace
}  // namespace tidemark::http
