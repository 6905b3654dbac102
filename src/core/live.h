// Live<T>: settings that are read everywhere and may be replaced while the program runs (SIGHUP).
//
// Reading is one load, on any thread, without a lock; what was read is immutable and valid as long as the Live is: an
// older value is kept, because a reload is rare and settings are small. Replacing is for one thread, the main one.
// Promises: everybody sees the new value soon. Does not promise: that all threads see it at the same moment, so a
// decision reads it once.
#pragma once

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

namespace tidemark {

template <class T>
class Live {
 public:
  explicit Live(T first) { replace(std::move(first)); }
  Live(const Live&) = delete;
  Live& operator=(const Live&) = delete;

  const T& operator*() const { return *current_.load(std::memory_order_acquire); }
  const T* operator->() const { return current_.load(std::memory_order_acquire); }

  void replace(T next) {
    values_.push_back(std::make_unique<const T>(std::move(next)));
    current_.store(values_.back().get(), std::memory_order_release);
  }

 private:
  std::vector<std::unique_ptr<const T>> values_;  // touched by replace() only
  std::atomic<const T*> current_{nullptr};
};

}  // namespace tidemark
