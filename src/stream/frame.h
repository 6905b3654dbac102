// Frame: immutable bytes that any number of queues share, framed once.
//
// The bytes are a JSON payload behind its WebSocket header (RFC 6455, 5.2: a final text frame, unmasked), so that a
// WebSocket queue can send wire() as it is and any other outlet can take payload(). A frame has at most one compressed
// twin, made when the first queue asks for it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
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

  // Copies `payload` behind a text frame's header.
  static Frame text(std::string_view payload);
  static Frame binary(std::string_view payload);
  // Bytes that are already framed (control frames).
  static Frame wire_bytes(std::string_view bytes);

  explicit operator bool() const { return body_ != nullptr; }
  std::string_view wire() const { return {bytes(), body_->size}; }
  std::string_view payload() const { return wire().substr(body_->header_size); }
  size_t size() const { return body_->size; }

  // The same message for a connection with permessage-deflate (RFC 7692, no context, a window of kDeflateWindowBits);
  // this frame itself where compression is not worth it: below kCompressFrom bytes, when it would not get smaller, and for
  // control frames. Compressed once in the frame's life, whoever asks; who asks meanwhile waits for it.
  Frame compressed() const;
  static constexpr size_t kCompressFrom = 256;

 private:
  struct Body {
    std::atomic<uint32_t> references;
    uint32_t header_size;
    size_t size;
    std::atomic<Body*> twin{nullptr};  // s_busy while it is made, s_none if there is none
  };
  explicit Frame(Body* body) : body_(body) {}

  static Frame make(std::string_view header, std::string_view payload);
  static Frame message(uint8_t first_byte, std::string_view payload);
  Body* make_twin() const;
  const char* bytes() const { return reinterpret_cast<const char*>(body_ + 1); }
  void release();

  static Body s_busy;
  static Body s_none;

  Body* body_ = nullptr;
};

}  // namespace tidemark::stream
