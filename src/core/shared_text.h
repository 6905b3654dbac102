// SharedText: immutable text that any number of holders share. A copy is one pointer, whatever its length.
//
// Ids of users, devices, sessions and streams are kept in many places for as long as a connection lives: its caller, the
// user's home, its streams, queues of messages between workers. Each place holds a reference to the same bytes.
#pragma once

#include <atomic>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace tidemark {

// A counted reference. Any thread. Empty text holds no memory.
class SharedText {
 public:
  SharedText() = default;
  explicit SharedText(std::string text) : body_(text.empty() ? nullptr : new Body{{1}, std::move(text)}) {}
  SharedText(const SharedText& other) : body_(other.body_) {
    if (body_ != nullptr) {
      body_->references.fetch_add(1, std::memory_order_relaxed);
    }
  }
  SharedText(SharedText&& other) noexcept : body_(std::exchange(other.body_, nullptr)) {}
  SharedText& operator=(SharedText other) noexcept {
    std::swap(body_, other.body_);
    return *this;
  }
  ~SharedText() {
    if (body_ != nullptr && body_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      delete body_;
    }
  }

  const std::string& str() const {
    static const std::string kEmpty;
    return body_ == nullptr ? kEmpty : body_->text;
  }
  operator std::string_view() const { return str(); }
  bool empty() const { return body_ == nullptr; }

  friend bool operator==(const SharedText& a, const SharedText& b) { return a.body_ == b.body_ || a.str() == b.str(); }
  friend bool operator==(const SharedText& a, std::string_view b) { return a.str() == b; }
  friend std::strong_ordering operator<=>(const SharedText& a, const SharedText& b) { return a.str() <=> b.str(); }

 private:
  struct Body {
    std::atomic<uint32_t> references;
    const std::string text;
  };

  Body* body_ = nullptr;
};

}  // namespace tidemark
