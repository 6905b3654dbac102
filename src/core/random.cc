#include "core/random.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>

#include "core/result.h"

namespace tidemark {
namespace {

void generate(std::span<unsigned char> bytes) {
  TIDEMARK_CHECK(RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1);
}

// Each call of the generator takes a lock and a system call, whatever it is asked for: ids are cut from a larger piece.
class Store {
 public:
  static constexpr size_t kPortionMax = 32;

  void take(std::span<unsigned char> bytes) {
    if (left_ < bytes.size()) {
      generate(bytes_);
      left_ = bytes_.size();
    }
    const auto portion = std::span(bytes_).subspan(bytes_.size() - left_, bytes.size());
    std::copy(portion.begin(), portion.end(), bytes.begin());
    OPENSSL_cleanse(portion.data(), portion.size());  // nobody finds here what was handed out
    left_ -= bytes.size();
  }

 private:
  std::array<unsigned char, 512> bytes_;
  size_t left_ = 0;
};

}  // namespace

void SystemRandom::fill(std::span<unsigned char> bytes) {
  thread_local Store store;
  if (bytes.size() > Store::kPortionMax) {
    generate(bytes);
  } else {
    store.take(bytes);
  }
}

}  // namespace tidemark
