#include "core/task.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace tidemark {
namespace {

// `co_await latch.passed()` suspends until somebody calls release().
struct Latch {
  auto passed() {
    struct Awaiter {
      Latch& latch;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> handle) noexcept { latch.waiting = handle; }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this};
  }
  void release() { waiting.resume(); }
  std::coroutine_handle<> waiting;
};

Task<int> answer(std::vector<std::string>& log) {
  log.push_back("inner");
  co_return 42;
}

TEST(Task, DoesNothingUntilItIsAwaited) {
  std::vector<std::string> log;
  Task<int> task = answer(log);
  EXPECT_TRUE(log.empty());
  int got = 0;
  const auto outer = [&]() -> Task<> {
    log.push_back("before");
    got = co_await std::move(task);
    log.push_back("after");
  };
  spawn(outer());
  EXPECT_EQ(got, 42);
  EXPECT_EQ(log, (std::vector<std::string>{"before", "inner", "after"}));
}

TEST(Task, IsDestroyedUnawaitedWithoutRunning) {
  std::vector<std::string> log;
  const auto owned = std::make_shared<int>(1);
  const auto holding = [](std::vector<std::string>& to, std::shared_ptr<int>) -> Task<> {
    to.push_back("ran");
    co_return;
  };
  {
    const Task<> task = holding(log, owned);
    EXPECT_EQ(owned.use_count(), 2);
  }
  EXPECT_TRUE(log.empty());
  EXPECT_EQ(owned.use_count(), 1);
}

TEST(Task, MovesOnlyResultsThrough) {
  const auto make = []() -> Task<std::unique_ptr<std::string>> { co_return std::make_unique<std::string>("moved"); };
  std::string got;
  const auto outer = [&]() -> Task<> {
    const auto text = co_await make();
    got = *text;
  };
  spawn(outer());
  EXPECT_EQ(got, "moved");
}

TEST(Task, PassesErrorsAsResults) {
  const auto failing = []() -> Task<Result<int>> { co_return fail(Code::gone, "no more"); };
  Code code = Code::internal;
  const auto outer = [&]() -> Task<> {
    const auto result = co_await failing();
    code = result.ok() ? Code::internal : result.error().code;
  };
  spawn(outer());
  EXPECT_EQ(code, Code::gone);
}

TEST(Task, SuspendsThroughAllLevelsAndFreesEachFrameOnce) {
  Latch latch;
  const auto guard = std::make_shared<int>(0);
  std::vector<std::string> log;
  const auto inner = [&](std::shared_ptr<int>) -> Task<int> {
    log.push_back("waits");
    co_await latch.passed();
    co_return 1;
  };
  const auto middle = [&](std::shared_ptr<int> held) -> Task<int> {
    const int one = co_await inner(held);
    co_return one + 1;
  };
  const auto outer = [&](std::shared_ptr<int> held) -> Task<> {
    const int two = co_await middle(held);
    log.push_back(std::to_string(two));
  };
  spawn(outer(guard));
  EXPECT_EQ(log, (std::vector<std::string>{"waits"}));
  EXPECT_GT(guard.use_count(), 1);
  latch.release();
  EXPECT_EQ(log, (std::vector<std::string>{"waits", "2"}));
  EXPECT_EQ(guard.use_count(), 1);
}

TEST(Task, SpawnedTasksOverlap) {
  Latch first;
  Latch second;
  std::vector<int> ended;
  const auto wait = [&](Latch& latch, int number) -> Task<> {
    co_await latch.passed();
    ended.push_back(number);
  };
  spawn(wait(first, 1));
  spawn(wait(second, 2));
  second.release();
  first.release();
  EXPECT_EQ(ended, (std::vector<int>{2, 1}));
}

}  // namespace
}  // namespace tidemark
