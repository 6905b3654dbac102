#include "core/rare_list.h"

#include <gtest/gtest.h>

#include <string>

namespace tidemark {
namespace {

TEST(RareList, IsAPointerWhileItIsEmpty) {
  RareList<std::string, 3> list;
  EXPECT_EQ(sizeof list, sizeof(void*));
  EXPECT_EQ(list.size(), 0u);
  for (const std::string& value : list) {
    ADD_FAILURE() << value;
  }
}

TEST(RareList, KeepsTheNewest) {
  RareList<std::string, 3> list;
  for (const char* const value : {"a", "b", "c", "d"}) {
    list.push_back(value);
  }
  EXPECT_EQ((std::vector<std::string>(list.begin(), list.end())), (std::vector<std::string>{"b", "c", "d"}));
  list.clear();
  EXPECT_EQ(list.size(), 0u);
  list.push_back("e");
  EXPECT_EQ(*list.begin(), "e");
}

}  // namespace
}  // namespace tidemark
