#include "core/frame_pool.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>
#include <vector>

namespace tidemark {
namespace {

TEST(FramePool, GivesFramesThatCanBeWrittenWhole) {
  for (const size_t size : {size_t{1}, size_t{127}, size_t{128}, size_t{129}, size_t{4096}, size_t{4097}, size_t{100'000}}) {
    void* const frame = FramePool::take(size);
    std::memset(frame, 0xab, size);
    FramePool::give(frame, size);
  }
}

TEST(FramePool, TakesBackMoreThanItKeeps) {
  std::vector<void*> frames;
  for (int i = 0; i < 1000; ++i) {
    frames.push_back(FramePool::take(300));
  }
  for (void* const frame : frames) {
    FramePool::give(frame, 300);
  }
}

TEST(FramePool, TakesBackWhatAnotherThreadTook) {
  void* frame = nullptr;
  std::thread([&frame] { frame = FramePool::take(300); }).join();
  std::memset(frame, 0, 300);
  FramePool::give(frame, 300);
}

}  // namespace
}  // namespace tidemark
