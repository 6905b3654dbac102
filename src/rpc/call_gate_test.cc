#include "rpc/call_gate.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace tidemark::rpc {
namespace {

TEST(CallGate, LetsSoManyInAndNoMore) {
  CallGate gate(2);
  EXPECT_TRUE(gate.enter());
  EXPECT_TRUE(gate.enter());
  EXPECT_FALSE(gate.enter());
  EXPECT_EQ(gate.inside(), 2u);
  gate.leave();
  EXPECT_TRUE(gate.enter());
}

TEST(CallGate, ClosedAndEmptySaysSoAtOnce) {
  CallGate gate(2);
  int told = 0;
  gate.close([&told] { ++told; });
  EXPECT_EQ(told, 1);
  EXPECT_FALSE(gate.enter());
  EXPECT_EQ(told, 1) << "whoever is refused has not been inside";
}

TEST(CallGate, TellsWhenTheLastOneHasLeft) {
  CallGate gate(5);
  int told = 0;
  EXPECT_TRUE(gate.enter());
  EXPECT_TRUE(gate.enter());
  gate.close([&told] { ++told; });
  EXPECT_TRUE(gate.closed());
  EXPECT_EQ(gate.inside(), 2u);
  gate.leave();
  EXPECT_FALSE(gate.enter());
  EXPECT_EQ(told, 0);
  gate.leave();
  EXPECT_EQ(told, 1);
}

TEST(CallGate, TellsOnceWhateverTheThreadsDo) {
  for (int round = 0; round < 50; ++round) {
    CallGate gate(1000);
    std::atomic<int> told{0};
    std::atomic<int> inside{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] {
        for (int n = 0; n < 200; ++n) {
          if (gate.enter()) {
            ++inside;
            EXPECT_EQ(told.load(), 0);
            --inside;
            gate.leave();
          }
        }
      });
    }
    gate.close([&] { ++told; });
    for (std::thread& thread : threads) {
      thread.join();
    }
    EXPECT_EQ(told.load(), 1);
    EXPECT_EQ(inside.load(), 0);
  }
}

}  // namespace
}  // namespace tidemark::rpc
