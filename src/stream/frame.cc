#include "stream/frame.h"

#include <algorithm>
#include <new>

#include "core/deflate.h"
#include "core/result.h"

namespace tidemark::stream {
namespace {

constexpr uint8_t kFinalText = 0x81;
constexpr uint8_t kFinalBinary = 0x82;
constexpr uint8_t kCompressed = 0x40;  // RFC 7692, 6: RSV1

}  // namespace

Frame::Body Frame::s_busy{};
Frame::Body Frame::s_none{};

Frame Frame::make(std::string_view header, std::string_view payload, std::string_view aside) {
  TIDEMARK_CHECK(aside.size() <= kAsideBytesMax);
  void* const memory = ::operator new(sizeof(Body) + header.size() + payload.size() + aside.size());
  Frame frame;
  frame.body_ = new (memory) Body{1, static_cast<uint16_t>(header.size()), static_cast<uint16_t>(aside.size()),
                                  header.size() + payload.size()};
  char* out = reinterpret_cast<char*>(frame.body_ + 1);
  for (const std::string_view part : {header, payload, aside}) {
    out = std::copy(part.begin(), part.end(), out);
  }
  return frame;
}

Frame Frame::text(std::string_view payload, std::string_view aside) { return message(kFinalText, payload, aside); }

Frame Frame::binary(std::string_view payload) { return message(kFinalBinary, payload); }

Frame Frame::message(uint8_t first_byte, std::string_view payload, std::string_view aside) {
  char header[10] = {static_cast<char>(first_byte)};
  const uint64_t size = payload.size();
  size_t header_size = 2;
  if (size < 126) {
    header[1] = static_cast<char>(size);
  } else if (size < 65536) {
    header[1] = 126;
    header[2] = static_cast<char>(size >> 8);
    header[3] = static_cast<char>(size);
    header_size = 4;
  } else {
    header[1] = 127;
    for (int i = 0; i < 8; ++i) {
      header[2 + i] = static_cast<char>(size >> (56 - 8 * i));
    }
    header_size = 10;
  }
  return make({header, header_size}, payload, aside);
}

Frame Frame::wire_bytes(std::string_view bytes) { return make({}, bytes); }

Frame Frame::compressed() const {
  if (body_->header_size == 0 || payload().size() < kCompressFrom) {
    return *this;
  }
  Body* twin = body_->twin.load(std::memory_order_acquire);
  if (twin == nullptr && body_->twin.compare_exchange_strong(twin, &s_busy)) {
    twin = make_twin();
    body_->twin.store(twin, std::memory_order_release);
    body_->twin.notify_all();
  }
  // Waiting takes no longer than doing it a second time would.
  for (; twin == &s_busy; twin = body_->twin.load(std::memory_order_acquire)) {
    body_->twin.wait(&s_busy, std::memory_order_acquire);
  }
  if (twin == &s_none) {
    return *this;
  }
  twin->references.fetch_add(1, std::memory_order_relaxed);
  return Frame(twin);
}

Frame::Body* Frame::make_twin() const {
  try {
    const std::string_view deflated = deflate_message(payload());
    if (deflated.size() < payload().size()) {
      Frame twin = message(static_cast<uint8_t>(wire()[0]) | kCompressed, deflated);
      return std::exchange(twin.body_, nullptr);
    }
  } catch (const std::bad_alloc&) {
    // It goes out as it is.
  }
  return &s_none;
}

Frame Frame::translated(Translate translate) const {
  Body* known = body_->translation.load(std::memory_order_acquire);
  if (known == nullptr) {
    Frame fresh = text(translate(payload(), aside()));
    // This frame keeps it: the reference goes over with it.
    if (body_->translation.compare_exchange_strong(known, fresh.body_, std::memory_order_acq_rel)) {
      known = std::exchange(fresh.body_, nullptr);
    }
  }
  known->references.fetch_add(1, std::memory_order_relaxed);
  return Frame(known);
}

size_t Frame::bytes_held() const {
  size_t bytes = sizeof(Body) + body_->size + body_->aside_size;
  const Body* const twin = body_->twin.load(std::memory_order_acquire);
  if (twin != nullptr && twin != &s_none && twin != &s_busy) {
    bytes += sizeof(Body) + twin->size;
  }
  if (Body* const translation = body_->translation.load(std::memory_order_acquire)) {
    translation->references.fetch_add(1, std::memory_order_relaxed);
    bytes += Frame(translation).bytes_held();
  }
  return bytes;
}

void Frame::release() {
  if (body_ != nullptr && body_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    if (Body* const twin = body_->twin.load(std::memory_order_relaxed); twin != nullptr && twin != &s_none) {
      const Frame last(twin);
    }
    const Frame translation(body_->translation.load(std::memory_order_acquire));
    body_->~Body();
    ::operator delete(body_);
  }
}

}  // namespace tidemark::stream
