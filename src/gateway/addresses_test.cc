#include "gateway/addresses.h"

#include <gtest/gtest.h>

#include "core/worker_fixture.h"

namespace tidemark::gateway {
namespace {

class AddressesTest : public testing::Test {
 protected:
  AddressesTest() : workers_(2, clock_), addresses_(workers_) { workers_.start(); }

  bool enter(int worker, const std::string& group, size_t most) {
    bool entered = false;
    finish_on(workers_.at(worker), [&]() -> Task<> {
      entered = co_await addresses_.enter(group, most);
      EXPECT_EQ(Worker::current()->index(), worker);
    });
    return entered;
  }
  void leave(int worker, const std::string& group) {
    run_on(workers_.at(worker), [&] { addresses_.leave(group); });
    settle(workers_);
  }

  ManualClock clock_;
  WorkerPool workers_;
  Addresses addresses_;
};

TEST_F(AddressesTest, CountsOverAllWorkersAndRefusesOneMore) {
  EXPECT_TRUE(enter(0, "192.0.2.1", 2));
  EXPECT_TRUE(enter(1, "192.0.2.1", 2));
  EXPECT_FALSE(enter(0, "192.0.2.1", 2));
  EXPECT_FALSE(enter(1, "192.0.2.1", 2));
  EXPECT_TRUE(enter(1, "192.0.2.2", 2)) << "another address";
  leave(0, "192.0.2.1");
  EXPECT_TRUE(enter(1, "192.0.2.1", 2));
}

TEST_F(AddressesTest, CountsWithoutALimitToo) {
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(enter(0, "192.0.2.1", 0));
  }
  EXPECT_FALSE(enter(0, "192.0.2.1", 10)) << "a limit that is set later sees those who are there";
  EXPECT_TRUE(enter(0, "192.0.2.1", 11));
}

TEST_F(AddressesTest, LeavingMoreThanOneCameIsHarmless) {
  leave(0, "192.0.2.1");
  EXPECT_TRUE(enter(0, "192.0.2.1", 1));
  EXPECT_FALSE(enter(0, "192.0.2.1", 1));
}

}  // namespace
}  // namespace tidemark::gateway
