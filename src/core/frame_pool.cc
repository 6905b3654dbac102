#include "core/frame_pool.h"

#include <array>
#include <cstdint>
#include <new>
#include <utility>

namespace tidemark {

struct FramePool::Thread {
  struct Class {
    Free* first = nullptr;
    size_t kept = 0;
  };

  ~Thread();

  std::array<Class, kClasses> classes;
};

namespace {
// Of a thread that ends: what it gives back after that is not kept.
thread_local bool t_ended = false;
}  // namespace

FramePool::Thread::~Thread() {
  t_ended = true;
  for (Class& one : classes) {
    while (one.first != nullptr) {
      ::operator delete(std::exchange(one.first, one.first->next));
    }
  }
}

FramePool::Thread* FramePool::here() {
  if (t_ended) {
    return nullptr;
  }
  thread_local Thread thread;
  return &thread;
}

// Under sanitizers every frame is memory of its own; clang, which says it otherwise, is used for nothing else here.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__clang__)

void* FramePool::take(size_t size) { return ::operator new(size); }
void FramePool::give(void* frame, size_t) noexcept { ::operator delete(frame); }

#else

void* FramePool::take(size_t size) {
  const size_t number = (size - 1) / kStep;
  if (number >= kClasses) {
    return ::operator new(size);
  }
  if (Thread* const thread = here()) {
    Thread::Class& one = thread->classes[number];
    if (one.first != nullptr) {
      --one.kept;
      return std::exchange(one.first, one.first->next);
    }
  }
  return ::operator new((number + 1) * kStep);
}

void FramePool::give(void* frame, size_t size) noexcept {
  const size_t number = (size - 1) / kStep;
  Thread* const thread = number < kClasses ? here() : nullptr;
  if (thread == nullptr || thread->classes[number].kept >= kKept) {
    ::operator delete(frame);
    return;
  }
  Thread::Class& one = thread->classes[number];
  one.first = new (frame) Free{one.first};
  ++one.kept;
}

#endif

}  // namespace tidemark
