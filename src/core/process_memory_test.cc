#include "core/process_memory.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>

namespace tidemark {
namespace {

TEST(ProcessMemory, GrowsWithWhatIsTouched) {
  constexpr size_t kBytes = 64 << 20;
  const size_t before = resident_bytes();
  ASSERT_GT(before, 0u);
  const auto block = std::make_unique_for_overwrite<char[]>(kBytes);
  std::memset(block.get(), 1, kBytes);
  EXPECT_GE(resident_bytes(), before + kBytes / 2);
}

TEST(ProcessMemory, HasABound) {
  EXPECT_GT(memory_of_process(), resident_bytes());
  EXPECT_LT(memory_of_process(), size_t{1} << 50);
}

}  // namespace
}  // namespace tidemark
