#include "core/callback.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <vector>

namespace tidemark {
namespace {

// Counts how many of it live, and carries `Bytes` with it.
template <size_t Bytes>
struct Counted {
  explicit Counted(int& count) : alive(&count) { ++*alive; }
  Counted(const Counted& other) : alive(other.alive) { ++*alive; }
  Counted(Counted&& other) noexcept : alive(other.alive) { ++*alive; }
  Counted& operator=(const Counted&) = delete;
  ~Counted() { --*alive; }
  int* alive;
  std::array<char, Bytes> ballast{};
};

template <size_t Bytes>
void expect_one_target_alive_until_the_end() {
  int alive = 0;
  int calls = 0;
  {
    Callback first = [counted = Counted<Bytes>(alive), &calls] {
      ++calls;
      static_cast<void>(counted);
    };
    EXPECT_EQ(alive, 1);
    Callback second = std::move(first);
    EXPECT_EQ(alive, 1);
    EXPECT_FALSE(first);
    EXPECT_TRUE(second);
    second();
    second();
    Callback third;
    EXPECT_FALSE(third);
    third = std::move(second);
    third();
    EXPECT_EQ(alive, 1);
    third = [] {};
    EXPECT_EQ(alive, 0);
  }
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(calls, 3);
}

TEST(Callback, MovesASmallTargetAndDestroysItOnce) { expect_one_target_alive_until_the_end<1>(); }
TEST(Callback, MovesATargetThatJustFits) { expect_one_target_alive_until_the_end<24>(); }
TEST(Callback, MovesATargetOnePastWhatFits) { expect_one_target_alive_until_the_end<25>(); }
TEST(Callback, MovesALargeTarget) { expect_one_target_alive_until_the_end<1000>(); }

TEST(Callback, HoldsWhatCannotBeCopied) {
  int seen = 0;
  Callback callback = [owned = std::make_unique<int>(7), &seen] { seen = *owned; };
  std::vector<Callback> grown;
  grown.push_back(std::move(callback));
  grown.emplace_back([] {});
  grown.emplace_back([] {});
  grown[0]();
  EXPECT_EQ(seen, 7);
}

TEST(Callback, KeepsTheStateOfAMutableTarget) {
  int last = 0;
  Callback callback = [count = 0, &last]() mutable { last = ++count; };
  callback();
  Callback moved = std::move(callback);
  moved();
  EXPECT_EQ(last, 2);
}

TEST(Callback, TakesATargetThatMightThrowWhenMoved) {
  struct Throwing {
    explicit Throwing(int& to) : calls(&to) {}
    Throwing(const Throwing&) = default;
    Throwing(Throwing&& other) noexcept(false) : calls(other.calls) {}
    void operator()() const { ++*calls; }
    int* calls;
  };
  int calls = 0;
  Callback callback = Throwing(calls);
  Callback moved = std::move(callback);
  moved();
  EXPECT_EQ(calls, 1);
}

TEST(Callback, SurvivesAssignmentToItself) {
  int calls = 0;
  Callback callback = [&calls] { ++calls; };
  Callback& same = callback;
  callback = std::move(same);
  callback();
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace tidemark
