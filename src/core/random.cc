#include "core/random.h"

#include <openssl/rand.h>

#include "core/result.h"

namespace tidemark {

void SystemRandom::fill(std::span<unsigned char> bytes) {
  TIDEMARK_CHECK(RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1);
}

}  // namespace tidemark
