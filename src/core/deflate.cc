#include "core/deflate.h"

#include <zlib.h>

#include <algorithm>
#include <memory>
#include <new>

namespace tidemark {
namespace {

constexpr std::string_view kTail("\x00\x00\xff\xff", 4);  // RFC 7692, 7.2.1: cut off by the sender, put back here
constexpr int kInflateWindowBits = 15;                    // of whoever compressed
constexpr int kMemoryLevel = 8;
constexpr int kEndOfBlock = 128;                          // in z_stream::data_type after inflate()
constexpr size_t kBufferKept = 64 * 1024;                 // a larger one is given back at the next message
constexpr size_t kFirstBuffer = 4 * 1024;

Bytef* input(std::string_view bytes) { return reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data())); }

class Buffer {
 public:
  void start() {
    if (capacity_ > kBufferKept) {
      bytes_.reset();
      capacity_ = 0;
    }
  }
  // Room for `capacity` bytes, of which the first `used` are kept.
  void reserve(size_t capacity, size_t used) {
    if (capacity > capacity_) {
      auto grown = std::make_unique_for_overwrite<char[]>(capacity);
      std::copy_n(bytes_.get(), used, grown.get());
      bytes_ = std::move(grown);
      capacity_ = capacity;
    }
  }
  char* data() { return bytes_.get(); }
  size_t capacity() const { return capacity_; }

 private:
  std::unique_ptr<char[]> bytes_;
  size_t capacity_ = 0;
};

class Deflater {
 public:
  Deflater() {
    if (deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -kDeflateWindowBits, kMemoryLevel,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
      throw std::bad_alloc();
    }
  }
  ~Deflater() { deflateEnd(&stream_); }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  std::string_view run(std::string_view payload) {
    deflateReset(&stream_);
    out_.start();
    out_.reserve(deflateBound(&stream_, payload.size()) + kTail.size(), 0);
    size_t size = 0;
    stream_.next_in = input(payload);
    stream_.avail_in = static_cast<uInt>(payload.size());
    do {
      out_.reserve(size + kFirstBuffer, size);
      stream_.next_out = reinterpret_cast<Bytef*>(out_.data() + size);
      stream_.avail_out = static_cast<uInt>(out_.capacity() - size);
      deflate(&stream_, Z_SYNC_FLUSH);
      size = out_.capacity() - stream_.avail_out;
    } while (stream_.avail_out == 0);
    return {out_.data(), size - kTail.size()};
  }

 private:
  z_stream stream_{};
  Buffer out_;
};

class Inflater {
 public:
  Inflater() {
    if (inflateInit2(&stream_, -kInflateWindowBits) != Z_OK) {
      throw std::bad_alloc();
    }
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  Inflated run(std::string_view compressed, size_t bytes_max) {
    inflateReset(&stream_);
    out_.start();
    size_ = 0;
    for (const std::string_view part : {compressed, kTail}) {
      if (const auto outcome = feed(part, bytes_max); outcome != Inflated::Outcome::whole) {
        return {outcome, {}};
      }
    }
    if (!at_end_of_block_) {
      return {Inflated::Outcome::broken, {}};
    }
    return {Inflated::Outcome::whole, {out_.data(), size_}};
  }

 private:
  Inflated::Outcome feed(std::string_view part, size_t bytes_max) {
    stream_.next_in = input(part);
    stream_.avail_in = static_cast<uInt>(part.size());
    bool more = true;
    while (more) {
      if (size_ == out_.capacity() || out_.capacity() == 0) {
        out_.reserve(std::min(std::max(2 * size_, kFirstBuffer), bytes_max + 1), size_);
      }
      const size_t room = std::min(out_.capacity(), bytes_max + 1) - size_;
      stream_.next_out = reinterpret_cast<Bytef*>(out_.data() + size_);
      stream_.avail_out = static_cast<uInt>(room);
      const int result = inflate(&stream_, Z_SYNC_FLUSH);
      size_ += room - stream_.avail_out;
      if (size_ > bytes_max) {
        return Inflated::Outcome::too_big;
      }
      if (result == Z_MEM_ERROR) {
        throw std::bad_alloc();
      }
      if (result == Z_STREAM_END) {
        inflateReset(&stream_);  // a block may say that it is the last; what follows begins anew (7.2.3.4)
        at_end_of_block_ = true;
        more = stream_.avail_in > 0;
        continue;
      }
      if (result != Z_OK && result != Z_BUF_ERROR) {
        return Inflated::Outcome::broken;
      }
      at_end_of_block_ = (stream_.data_type & kEndOfBlock) != 0;
      more = stream_.avail_in > 0 || (stream_.avail_out == 0 && !at_end_of_block_);
    }
    return Inflated::Outcome::whole;
  }

  z_stream stream_{};
  Buffer out_;
  size_t size_ = 0;
  bool at_end_of_block_ = false;
};

}  // namespace

std::string_view deflate_message(std::string_view payload) {
  thread_local Deflater deflater;
  return deflater.run(payload);
}

Inflated inflate_message(std::string_view compressed, size_t bytes_max) {
  thread_local Inflater inflater;
  return inflater.run(compressed, bytes_max);
}

}  // namespace tidemark
