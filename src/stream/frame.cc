#include "stream/frame.h"

#include <algorithm>
#include <new>

namespace tidemark::stream {

Frame Frame::make(std::string_view header, std::string_view payload) {
  void* const memory = ::operator new(sizeof(Body) + header.size() + payload.size());
  Frame frame;
  frame.body_ = new (memory) Body{1, static_cast<uint32_t>(header.size()), header.size() + payload.size()};
  char* const out = reinterpret_cast<char*>(frame.body_ + 1);
  std::copy(payload.begin(), payload.end(), std::copy(header.begin(), header.end(), out));
  return frame;
}

Frame Frame::text(std::string_view payload) {
  char header[10] = {'\x81'};
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
  return make({header, header_size}, payload);
}

Frame Frame::wire_bytes(std::string_view bytes) { return make({}, bytes); }

void Frame::release() {
  if (body_ != nullptr && body_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    body_->~Body();
    ::operator delete(body_);
  }
}

}  // namespace tidemark::stream
