// The entry of a libFuzzer program: it is linked with one target.
#include <cstddef>

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tidemark::fuzz::targets().front().run({reinterpret_cast<const char*>(data), size});
  return 0;
}
