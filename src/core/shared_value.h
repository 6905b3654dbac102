// SharedValue: an immutable value that any thread may read and replace; readers keep the one they have got.
//
// Any thread. A reader holds the lock for as long as it takes to copy a pointer.
// Not std::atomic<std::shared_ptr>: in GCC 12 its load() gives the lock back without release order, so that what a reader
// copies and what a writer swaps race.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

namespace tidemark {

template <class T>
class SharedValue {
 public:
  using Pointer = std::shared_ptr<const T>;

  SharedValue() = default;
  explicit SharedValue(Pointer value) : value_(std::move(value)) {}

  Pointer load() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }
  void store(Pointer value) {
    {
      const std::lock_guard lock(mutex_);
      value_.swap(value);
    }
    // The old value goes here, without the lock.
  }

 private:
  mutable std::mutex mutex_;
  Pointer value_;
};

}  // namespace tidemark
