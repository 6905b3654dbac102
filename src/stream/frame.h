// Frame: immutable bytes that any number of queues share, framed once.
//
// The bytes are a JSON payload behind its WebSocket header (RFC 6455, 5.2: a final text frame, unmasked), so that a
// WebSocket queue can send wire() as it is and any other outlet can take payload(). A frame has at most one compressed
// twin, made when the first queue asks for it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace tidemark::stream {

// A counted reference to a frame. Any thread.
class Frame {
 public:
  Frame() = default;
  Frame(const Frame& other) : body_(other.body_) {
    if (body_ != nullptr) {
      body_->references.fetch_add(1, std::memory_order_relaxed);
    }
  }
  Frame(Frame&& other) noexcept : body_(std::exchange(other.body_, nullptr)) {}
  Frame& operator=(Frame other) noexcept {
    std::swap(body_, other.body_);
    return *this;
  }
  ~Frame() { release(); }

  // Copies `payload` behind a text frame's header. `aside` travels with the frame and never on the wire: what somebody
  // who translates the payload has to know beside it. At most kAsideBytesMax; a longer one is a broken invariant.
  static Frame text(std::string_view payload, std::string_view aside = {});
  static constexpr size_t kAsideBytesMax = 1024;
  static Frame binary(std::string_view payload);
  // Bytes that are already framed (control frames).
  static Frame wire_bytes(std::string_view bytes);

  explicit operator bool() const { return body_ != nullptr; }
  std::string_view wire() const { return {bytes(), body_->size}; }
  std::string_view payload() const { return wire().substr(body_->header_size); }
  size_t size() const { return body_->size; }
  // All that lives as long as this frame: its bytes, and those of the forms that were made of it until now.
  size_t bytes_held() const;
  std::string_view aside() const { return {bytes() + body_->size, body_->aside_size}; }

  // This text in another dialect, for outlets that speak it: written by `translate` when the first of them asks, then
  // shared by all. There is one dialect beside the payload's own, so every caller names the same function. Any thread;
  // two that are first at the same moment may both write, and one result is kept.
  using Translate = std::string (*)(std::string_view payload, std::string_view aside);
  Frame translated(Translate translate) const;

  // The same message for a connection with permessage-deflate (RFC 7692, no context, a window of kDeflateWindowBits);
  // this frame itself where compression is not worth it: below kCompressFrom bytes, when it would not get smaller, and for
  // control frames. Compressed once in the frame's life, whoever asks; who asks meanwhile waits for it.
  Frame compressed() const;
  static constexpr size_t kCompressFrom = 256;

 private:
  struct Body {
    std::atomic<uint32_t> references;
    uint16_t header_size;
    uint16_t aside_size;
    size_t size;                              // without the aside, which stands behind the rest
    std::atomic<Body*> twin{nullptr};         // compressed; s_busy while it is made, s_none if there is none
    std::atomic<Body*> translation{nullptr};  // in the other dialect
  };
  explicit Frame(Body* body) : body_(body) {}

  static Frame make(std::string_view header, std::string_view payload, std::string_view aside = {});
  static Frame message(uint8_t first_byte, std::string_view payload, std::string_view aside = {});
  Body* make_twin() const;
  const char* bytes() const { return reinterpret_cast<const char*>(body_ + 1); }
  void release();

  static Body s_busy;
  static Body s_none;

  Body* body_ = nullptr;
};

}  // namespace tidemark::stream
