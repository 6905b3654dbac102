// CallGate: counts the calls that are under way, so that there are never too many, and says when the last one is over.
//
// Any thread. It lives longer than the calls.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>

namespace tidemark::rpc {

class CallGate {
 public:
  explicit CallGate(size_t most) : most_(most) {}

  // False when `most` are inside, or when it is closed. Else leave() has to follow.
  bool enter();
  void leave();

  // Nobody comes in any more. `empty` is called once, perhaps at once, on the thread of the last one who leaves. Once.
  void close(std::function<void()> empty);
  bool closed() const { return closed_.load(); }
  size_t inside() const;

 private:
  const size_t most_;
  // One more than are inside while it is open, so that it comes to zero only once it is closed.
  std::atomic<size_t> count_{1};
  std::atomic<bool> closed_{false};
  std::atomic<bool> told_{false};
  std::function<void()> empty_;
};

}  // namespace tidemark::rpc
