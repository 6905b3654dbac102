#include "stream/tails.h"

#include <gtest/gtest.h>

namespace tidemark::stream {
namespace {

std::string twice(std::string_view payload, std::string_view) { return std::string(payload) + std::string(payload); }

class TailsTest : public ::testing::Test {
 protected:
  // The stream's next entry; false: it was not kept, or has made others go.
  const Frame& keep(int stream, const std::string& payload, Instant now = {}) {
    LocalStream& local = streams_[StreamId{stream}];
    local.ref.id = StreamId{stream};
    ++local.head;
    frames_.push_back(Frame::text(payload));
    tails_.keep(local, frames_.back(), now);
    return frames_.back();
  }
  size_t kept(int stream) { return streams_[StreamId{stream}].tail_size(); }

  FanoutOptions options_{.tail_entries = 4, .tail_bytes = 10'000};
  Tails::Streams streams_;
  Tails tails_{streams_, options_};
  std::vector<Frame> frames_;
};

TEST_F(TailsTest, TheOldestOfAllStreamsGoFirst) {
  keep(1, std::string(4000, 'a'));
  keep(2, std::string(4000, 'b'));
  keep(1, std::string(4000, 'c'));
  EXPECT_EQ(kept(1), 1u);
  EXPECT_EQ(kept(2), 1u);
  EXPECT_EQ(streams_[StreamId{1}].tail->front().frame.payload().front(), 'c');
  EXPECT_LE(tails_.bytes(), options_.tail_bytes);
}

TEST_F(TailsTest, OtherFormsOfAFrameCount) {
  keep(1, std::string(2000, 'a'));
  const Frame frame = keep(2, std::string(2000, 'b'));
  const size_t before = tails_.bytes();
  const Frame compressed = frame.compressed();
  tails_.recount(streams_[StreamId{2}], 1);
  EXPECT_GT(tails_.bytes(), before + compressed.size());
  const Frame translated = frame.translated(&twice);
  tails_.recount(streams_[StreamId{2}], 1);
  EXPECT_GT(tails_.bytes(), before + compressed.size() + translated.size());
  EXPECT_EQ(kept(1), 1u);
  const Frame more = keep(2, std::string(1500, 'c')).translated(&twice);
  tails_.recount(streams_[StreamId{2}], 2);
  EXPECT_EQ(kept(1), 0u) << "the other form found no room beside it";
  EXPECT_LE(tails_.bytes(), options_.tail_bytes);
}

TEST_F(TailsTest, WhatIsGoneCountsNoMore) {
  for (int i = 0; i < 10; ++i) {
    keep(1, "x");
    keep(2, "y");
  }
  EXPECT_EQ(kept(1), options_.tail_entries);
  tails_.drop(streams_[StreamId{1}]);
  EXPECT_EQ(kept(1), 0u);
  tails_.drop(streams_[StreamId{2}]);
  EXPECT_EQ(tails_.bytes(), 0u);
}

TEST_F(TailsTest, AgeEndsThemToo) {
  const Instant start{};
  keep(1, "old", start);
  keep(1, "new", start + std::chrono::seconds(5));
  streams_.erase(StreamId{2});
  tails_.drop_older(start + std::chrono::seconds(4));
  EXPECT_EQ(kept(1), 1u);
  tails_.drop_older(start + std::chrono::seconds(5));
  EXPECT_EQ(kept(1), 0u);
  EXPECT_TRUE(tails_.empty());
  EXPECT_EQ(tails_.bytes(), 0u);
}

}  // namespace
}  // namespace tidemark::stream
