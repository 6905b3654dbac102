// FramePool: where the frames of coroutines come from.
//
// A command takes a dozen frames of a few hundred to a few thousand bytes and gives them back within milliseconds; that
// is more than the C library keeps at hand for a thread, so that half of the time went into its slow path.
#pragma once

#include <cstddef>

namespace tidemark {

// Any thread; a frame may be given back on another one than it was taken on. Bounded: a thread keeps at most kKept frames
// of each size class, what is bigger than the greatest class is not kept.
// With a sanitizer nothing is kept, so that it sees every use of a frame that is gone.
class FramePool {
 public:
  static void* take(size_t size);
  static void give(void* frame, size_t size) noexcept;

 private:
  static constexpr size_t kStep = 128;  // sizes are rounded up to this
  static constexpr size_t kClasses = 32;
  static constexpr size_t kKept = 64;

  struct Free {
    Free* next;
  };
  struct Thread;
  static Thread* here();
};

}  // namespace tidemark
