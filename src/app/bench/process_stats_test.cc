#include "app/bench/process_stats.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace tidemark::app {
namespace {

TEST(ProcessStats, ReadsThisProcess) {
  const auto before = own_cpu();
  volatile uint64_t work = 0;
  while (own_cpu() - before < std::chrono::milliseconds(30)) {
    work = work + 1;
  }
  const Result<ProcessStats> stats = read_process_stats(getpid());
  ASSERT_TRUE(stats.ok());
  EXPECT_GE(stats->cpu, std::chrono::milliseconds(10));
  EXPECT_LE(stats->cpu, own_cpu() + std::chrono::milliseconds(20));
  EXPECT_GT(stats->resident_bytes, 100'000);
}

TEST(ProcessStats, SaysThatThereIsNoSuchProcess) {
  const Result<ProcessStats> stats = read_process_stats(-1);
  ASSERT_FALSE(stats.ok());
  EXPECT_EQ(stats.error().code, Code::not_found);
}

}  // namespace
}  // namespace tidemark::app
